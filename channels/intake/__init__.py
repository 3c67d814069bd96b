"""The one way in: what platforms tell us is kept first, then each order is moved to its truth.

Reading order: `endpoints` (what is pushed), `looks` and `inbox` (what is kept of it),
`fetcher` (what waits at a platform), `collector` (files), `sweeper` (what was never told), `mover`
(looks at orders), `moves` (which step an order needs, pure), `lookout` (what has come for those
that are short); `anomalies` and `desk` (what people are told, see and do), `janitor` (what is
forgotten).
"""
