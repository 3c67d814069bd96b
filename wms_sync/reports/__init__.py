"""What warehouses report to us: kept before it is acknowledged, then applied, each once in effect.

Reading order: `endpoints` (the door), `reported` (what is kept of a report), `box` (the file),
`rules` (which change is an order's own, what an order lets be shipped; pure), `applier` (the loop),
`orders` and `stock` (what it does of a report), `parcels` (whom parcels are handed on to). What
reports make of the outbox's rows stands there, in `outbox.told` (ADR 022).
"""
