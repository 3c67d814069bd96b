"""The fault suites: many at once, everything killed, everything full, everything cut off.

Each has a short form that runs with `make test` and a full one, marked `chaos`, that runs with
`make chaos`. What each proves: docs/testing.md.
"""
