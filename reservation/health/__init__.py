"""SKU health: unshipped ratio, status, exposure weight, and when it will be sold out.

Read in this order: `level` (pure: what is noted of a level, with the pace of its sales), `rule`
(pure: what a change of balances makes of it), `monitor` (the loop that follows the log and tells of
crossings), `reads` (health as of this instant).
"""
