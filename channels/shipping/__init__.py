"""Where orders go: what warehouses ask of an order beside its lines (ADR 023).

Reading order: `lanes` (which go first), `addresses` (what is kept because nobody can be asked for
it; `forgetting`), `endpoints` (who has no adapter tells it here).
"""
