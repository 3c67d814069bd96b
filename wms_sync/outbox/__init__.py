"""The durable outbox: one row an order and warehouse, from its payment until it has left.

Reading order: `delivery` (states and what a row holds), `file` (its tables), `reads` (what people
and metrics ask); `entries` (what the event log makes of rows), `handing` (what the relay does),
`told` (what reports make of rows), `retold` (what is told again of where orders go), `lock` and
`locks` (stock locked at warehouses), `desk` (what people and channels ask for), `outbox` (all of
it, opened).
"""
