"""All that speaks to Redis or Valkey.

Reading order, the way down: `coalescer` with `waiting` (operations into batches), `store` (every
operation), `retry` (calls repeated where that is safe), `log` (the event log, read), `verbs` and
`records` (values into texts and back), `positions` (of the event log), `scripts` and `keys`,
`link` (one call, once), `wire` (bytes). `checks` refuses stores that would break a promise.
`keyring` and `attendance` keep other things there. Our own server: `embedded` (its life),
`guardian` (its parent), `server_configuration`, `binary`, `machine`, `places`, `torn_log`.
"""
