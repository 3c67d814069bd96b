"""Benchmarks: both sides of every ratio are run here, in turn, in one go.

`store_cpu` the server's CPU per reservation, `engine_rate` reservations a second in one process,
`http_rate` requests a second through one worker. `report` has the statistics and the machine.
"""
