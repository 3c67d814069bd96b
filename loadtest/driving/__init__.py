"""Locust's side of the load test: plays a plan against a service and writes down what came of it.

Reading order: `pacer` (when something is due, and to whom it goes), `wire` (verbs as requests,
answers as values), `desk` (what follows an answer), `notes` (what is written down of it),
`generator` (one process), `conductor` (one or several generators, from the first to the last
message), `surroundings` (stock before and after). `loadtest/locustfile.py` puts them together. All
of it runs on gevent, in a process of its own.
"""
