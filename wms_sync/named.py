"""What the path of a call about warehouses names, who calls, and how what is not there is said."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from reservation.api.exchange import OK, Answer, json_answer
from reservation.api.problems import Problem, Refused, Slug
from reservation.model import RESERVATION_ID, WAREHOUSE, sku_problem

if TYPE_CHECKING:
    from reservation.api.pipeline import Call

CODE: Final = re.compile(rf"({RESERVATION_ID.pattern})@({WAREHOUSE.pattern})", re.ASCII)
NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)  # SQLite's rows have 19 digits at most


def warehouse_of(call: Call) -> str:
    """Take the warehouse of the path. Raises Refused (404) where it cannot be one."""
    name = call.segment("warehouse")
    if name is None or not WAREHOUSE.fullmatch(name):
        raise Refused(unknown("There is no such warehouse."))
    return name


def code_of(call: Call) -> str:
    """Take the code of the path. Raises Refused (404) where it is of another warehouse."""
    name, code = warehouse_of(call), call.segment("code")
    if code is None or not CODE.fullmatch(code) or code.rpartition("@")[2] != name:
        raise Refused(unknown("No order of this warehouse has such a code."))
    return code


def number_of(call: Call) -> int:
    """Take the number of a report. Raises Refused (404) where it cannot be one."""
    number = call.segment("number")
    if number is None or not NUMBER.fullmatch(number):
        raise Refused(unknown("No report has such a number."))
    return int(number)


def sku_of(call: Call) -> str:
    """Take the SKU of the path. Raises Refused (404) where it cannot be one."""
    sku = call.segment("sku")
    if sku is None or sku_problem(sku):
        raise Refused(unknown("What cannot be a SKU was never looked at."))
    return sku


def by(call: Call) -> str:
    """Say who calls."""
    return "" if call.key is None else call.key.name


def done(is_done: bool | None, otherwise: str) -> Answer:  # noqa: FBT001 (an answer of a desk)
    """Answer that it is done. Raises Refused (404), which says why it is not."""
    if not is_done:
        raise Refused(unknown(otherwise))
    return json_answer(OK, {})


def unknown(detail: str) -> Problem:
    """Say that it is not there."""
    return Problem(Slug.NOT_FOUND, detail)
