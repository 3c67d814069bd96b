"""Platforms to try things against: their true wire formats over HTTP, with a shop behind.

`python -m channels.simulator tmall --app-key … --secret …` runs one; `douyin` and `dealer` are the
others. They are written from what
the platforms document, never from our adapters, and import nothing of them: one misreading must
not hide the other.

Reading order: `clock`, `faults`, `shop` (what stands behind every platform), `simulator` (how a
platform is put before it, and beside it the control side, `control`), `courier` (how messages are
sent to us); then a platform: `tmall`, `douyin`, `dealer`.
"""
