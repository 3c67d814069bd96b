"""Benchmarks: both sides of every figure are run here, in turn, in one go.

`suites` has them by name, `bars` what their rows must show, `measure` the statistics, `machine`
where it runs, `accepted` the guard against getting worse. docs/benchmarks.md tells of every row.
"""
