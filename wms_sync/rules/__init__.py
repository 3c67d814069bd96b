"""How a slow warehouse is fed: pure rules, without a clock, a store or chance of their own.

`capacity` says what a warehouse takes, `pacing` how many orders may be handed over now,
`warehouse_breaker` whether it may be called at all, `priority` which orders go next, and `forecast`
what will become of those that wait. Times are milliseconds since the epoch and are passed in; every
state is a small frozen value that the caller keeps.
"""
