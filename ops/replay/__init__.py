"""Plays a file of real orders against a running service and says what became of them.

The order file is CSV in UTF-8 with the header `order_id,channel,at,sku,quantity[,warehouse]`, one
row a line of an order, several rows an order:

    order_id   [A-Za-z0-9._-]{1,64}; with the channel it is the reservation id, `channel:order_id`
    channel    [a-z][a-z0-9_-]{1,31}; one per order
    at         RFC 3339 with an offset; where rows of an order differ, the earliest counts
    sku        1 to 64 characters, as in contract.md section 1
    quantity   a whole number from 1; rows that name a SKU again are summed by the engine
    warehouse  optional; empty or absent is the service's default

Reading order: `orders` (the file), `player` (who sends what when), `figures` (what is counted),
`stocking` (levels before the start), `report` (what is printed), `verdict` (the audit), `run`
(all of it for one file), `convert` (how the shipped sample was made).
"""
