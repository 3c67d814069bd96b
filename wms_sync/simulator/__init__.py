"""A warehouse to try things against: the Qimen standard over HTTP, with goods and orders behind.

`python -m wms_sync.simulator qimen --app-key … --secret …` runs one. It is written from the
standard, never from our connector, and imports nothing of it: one misreading must not hide the
other. Its arithmetic of a warehouse's intake is its own as well.

Reading order: `goods`, `orders`, `intake`, `ways` (what can be set), `picking` (chance), `aisles`
(what happens by itself), `warehouse`; `site` (the world and its control side), then `qimen`.
"""
