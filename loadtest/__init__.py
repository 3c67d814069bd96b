"""Load: benchmarks against frozen baselines, later the locust scenarios and the history checker."""
