"""Baseline, frozen: FastAPI with pydantic models for request and response, echoing the order."""

from __future__ import annotations

from fastapi import FastAPI
from pydantic import BaseModel


class Line(BaseModel):
    """A line of the order."""

    sku: str
    quantity: int
    warehouse: str = "main"
    fulfilled: int = 0


class Order(BaseModel):
    """What is posted."""

    reservation_id: str
    lines: list[Line]
    ttl_seconds: int = 1800


class Answer(BaseModel):
    """What comes back."""

    reservation_id: str
    channel: str
    state: str
    lines: list[Line]
    created_at: str
    expires_at: str


app = FastAPI()


@app.post("/v1/reservations", status_code=201)
async def echo(order: Order) -> Answer:
    """Answer the order as if it were held."""
    return Answer(
        reservation_id=order.reservation_id,
        channel=order.reservation_id.partition(":")[0],
        state="held",
        lines=order.lines,
        created_at="2026-01-22T10:00:00.123Z",
        expires_at="2026-01-22T10:30:00.123Z",
    )
