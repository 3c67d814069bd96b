"""Warehouses with systems of their own: what they are handed, at their pace, and what they report.

Reading order: `model`, `connector` (the port; `qimen*`, `rest*` are two), `rules/` (pace, turns,
forecast; pure), `outbox/` (the file), then the loops of `service`: `follower`, `details`, `relay`,
`settler`, `reports/`, `reconciliation/`; for people `showing`, `endpoints`. `simulator/` is one.
"""
