"""What the control side of a shop tells, as JSON."""

from __future__ import annotations

from typing import Any

from channels.simulator.trade import Item, Order


def item_view(item: Item) -> dict[str, Any]:
    """Tell an item as the shop shows it."""
    return {
        "item_id": item.item_id,
        "title": item.title,
        "listed": item.listed,
        "deducts_at": item.deducts,
        "quantity": item.quantity,
        "skus": [
            {
                "sku_id": sku.sku_id,
                "outer_id": sku.outer_id,
                "quantity": sku.quantity,
                "price_fen": sku.price_fen,
            }
            for sku in item.skus.values()
        ],
    }


def order_view(order: Order) -> dict[str, Any]:
    """Tell what has become of an order."""
    return {
        "order_id": order.order_id,
        "stage": order.stage,
        "created_at_ms": order.created_at_ms,
        "changed_at_ms": order.changed_at_ms,
        "paid_at_ms": order.paid_at_ms,
        "amount_fen": order.amount_fen,
        "lines": [
            {
                "line_id": line.line_id,
                "item_id": line.item.item_id,
                "sku_id": line.sku.sku_id,
                "outer_id": line.sku.outer_id,
                "quantity": line.quantity,
                "stage": line.stage,
                "refund": line.refund,
                "refund_id": line.refund_id,
                "oversold": line.oversold,
                "tracking_number": line.parcel.tracking_number if line.parcel else None,
            }
            for line in order.lines.values()
        ],
    }
