"""Platforms to try things against: their true wire formats over HTTP, with a shop behind.

`python -m channels.simulator tmall --app-key … --secret …` runs one. They are written from what
the platforms document, never from our adapters, and import nothing of them: one misreading must
not hide the other.

Reading order: `clock`, `faults`, `shop` (what stands behind every platform), `simulator` (how a
platform is put before it, and beside it the control side, `control`); then a platform: `tmall`.
"""
