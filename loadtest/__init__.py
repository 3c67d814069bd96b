"""Load: Locust scenarios whose histories are proven, benchmarks against frozen baselines.

Of the load test: `workload` (what is ordered, pure), `driving` (Locust's side, on gevent),
`history` and `check` (the record and its judge), `figures` and `slo` (what is counted, what must be
kept), `report`; `command` is the command, `launch` starts Locust for it, `service`, `processes`,
`usage` and `evidence` run the rest and gather what is left, `limits` says what was the limit.
`bench` and `baselines` are measurements of another kind.
"""
