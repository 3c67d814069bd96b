"""The HTTP face of the engine.

Read in this order: `application`, `table` (every endpoint), `pipeline` (the way of requests, in the
contract's order of precedence), `exchange` (a request and its answer on that way), `problems`
(every refusal),
`forms` and `views` (what goes in and out), `decode` (bytes to requests). Then what is before them,
outermost first: `hardening` (how the server is run), `connection`, `express_connection` and
`express` with `one_pass` and `known_heads` (the lane of hot requests that are in order, which takes
most of them), `cycle` (one request of a connection), `http_messages`, `entrance`, `short_cuts`.
"""
