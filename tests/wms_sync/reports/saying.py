"""Reports as a warehouse says them."""

from __future__ import annotations

from wms_sync.model import (
    Counted,
    Lacking,
    Parcel,
    Progress,
    Progressed,
    Shipped,
    StockChanged,
)


def shipped(
    number: int | str,
    *items: tuple[str, int],
    name: str = "s1",
    final: bool = True,
    parcel: str = "",
    warehouse: str = "main",
) -> Shipped:
    """Say that so much of an order has left: one of A where nothing else is said."""
    items = items or (("A", 1),)
    parcels = (Parcel(carrier="SF", tracking_number=parcel, items=items),) if parcel else ()
    return Shipped(
        message_id=f"{name}-{number}",
        code=f"tmall:{number}@{warehouse}",
        final=final,
        items=items,
        parcels=parcels,
    )


def closed(number: int | str, name: str = "s1") -> Shipped:
    """Say that nothing of it has left, and nothing will."""
    return Shipped(
        message_id=f"{name}-{number}", code=f"tmall:{number}@main", final=True, items=(), parcels=()
    )


def progressed(number: int | str, progress: Progress, *, name: str = "p1") -> Progressed:
    """Say where it is."""
    return Progressed(
        message_id=f"{name}-{number}",
        code=f"tmall:{number}@main",
        progress=progress,
        word=progress.upper(),
        reason="why",
    )


def lacking(number: int | str, units: int, *, name: str = "l1", wanted: int = 2) -> Lacking:
    """Say that A lacks for it."""
    return Lacking(
        message_id=f"{name}-{number}",
        code=f"tmall:{number}@main",
        items=(("A", wanted, units),),
        reason="not found",
    )


def changed(delta: int, *, cause: str = "PO-7", name: str = "c1", sku: str = "A") -> StockChanged:
    """Say that there is more or less of a SKU."""
    return StockChanged(message_id=name, sku=sku, delta=delta, cause=cause, cause_type="QTCK")


def counted(delta: int, *, name: str = "n1", sku: str = "A") -> Counted:
    """Say by how much a count differs."""
    return Counted(message_id=name, sku=sku, delta=delta, total=None)
