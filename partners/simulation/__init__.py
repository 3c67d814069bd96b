"""What a simulated partner is made of: its true wire format over HTTP, with a world behind.

It is written from what the partner documents, never from our side of it, and imports nothing of
that: one misreading must not hide the other. What stands behind, a shop or a warehouse, is its own.

Reading order: `clock`, `faults`, `simulator` (how a partner is put before its world), `control`
(the control side beside it, with `forms`), `query` (what a call's parameters say), `courier` and
`post` (how messages are sent to us), `serving`, `command`.
"""
