"""Load: Locust scenarios whose histories are proven, benchmarks against frozen baselines.

Of the load test: `workload` (what is ordered, pure), `driving` (Locust's side, on gevent),
`history` and `check` (the record and its judge), `figures` and `slo` (what is counted, what must be
kept), `report`; `drive`, `service`, `processes`, `usage` and `evidence` run it and gather what it
leaves, `limits` says what was its limit, `__main__` is the command. `bench` and `baselines` are
measurements of another kind.
"""
