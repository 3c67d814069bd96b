"""SKU health: unshipped ratio, status, exposure weight, and when it will be sold out.

Read in this order: `rule` (pure: what a change of balances makes of a level's health), `monitor`
(the loop that follows the log and tells of crossings), `reads` (health as of this instant).
"""
