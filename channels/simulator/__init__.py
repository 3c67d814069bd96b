"""Platforms to try things against: their true wire formats over HTTP, with a shop behind.

`python -m channels.simulator tmall --app-key … --secret …` runs one; `douyin` and `dealer` are the
others. They are written from what
the platforms document, never from our adapters, and import nothing of them: one misreading must
not hide the other.

Reading order: `partners.simulation` (time, faults, serving, sending); `shop` (what stands behind
every platform), `platform` (how one is put before it), `control` (the shop's part of the control
side); then a platform: `tmall`, `douyin`, `dealer`.
"""
