"""The demonstration of `up --demo`: three simulated platforms, and days at them.

Its orders come in by the platforms' own messages, as those of real ones would; what it shows is
what each platform says and what Holdfast has noted, and every figure is checked. It may be played
again and again on the same data directory: every run begins with new shops, makes new order ids,
counts its stock anew and ships what it sold. It sets the levels of its own SKUs and of those in the
order sample.

Then, until it is ended, a festival day again and again: its goods lie in a simulated warehouse.

Reading order: `catalogue` (what is sold), `platforms` (where the shops are, for the process tree),
`shop` (one of them, in a process of its own); `shopfront` (buyers and merchant), `watch` (what
Holdfast makes of it), `stage`, the scenes `two_channels`, `burst`, `real_orders`, and `play`;
`house` and `warehouse` (as `platforms` and `shop`), `leftovers` (of a former run), `festival`.
"""
