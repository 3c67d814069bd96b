"""Bytes of a body as a request of `model`: the one seam between the wire and the engine.

`Decoder` has one method a verb, from bytes to the request that the engine takes. What is valid is
read in one pass where there is one (`one_pass`); the slow validator here judges what that refuses,
and writes the errors, all of them at once.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json

from reservation.api.forms import PATTERN_NAMES, request_forms
from reservation.api.one_pass import OnePass
from reservation.api.problems import Problem, Refused, Slug
from reservation.errors import InvalidRequest
from reservation.model import (
    AdjustStock,
    Confirm,
    Extend,
    Fulfil,
    Line,
    Operation,
    Release,
    Reserve,
    SetStock,
    canonical_lines,
    sku_problem,
)
from reservation.quota_model import MAX_QUOTAS, ChannelQuota
from reservation.times import milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pydantic_core import ErrorDetails

    from reservation.api.forms import BreakerPolicyForm, ClockForm, Form, LineForm
    from reservation.config import Settings

_F = TypeVar("_F", bound="Form")
Errors = list[tuple[str, str]]  # (JSON pointer, detail), in the order of the request

OPERATIONS: Final = ("reserve", "confirm", "release", "extend", "fulfil")
_MAX_EXACT: Final = 2**53 - 1  # Lua's numbers are doubles; no level comes near
_MAX_SHOWN: Final = 80  # of a member's name inside a pointer


class Decoder:
    """Read bodies by the forms of one installation.

    Every method raises Refused (`malformed-request`) for what is no JSON and InvalidRequest for
    what breaks a rule of form.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._max_quantity = settings.max_quantity_per_line
        self.forms = request_forms(settings)
        self.one_pass = OnePass(settings)
        self._by_verb: dict[str, Callable[[Any, str], Operation]] = {
            "reserve": self._reserve,
            "confirm": self._confirm,
            "release": self._release,
            "extend": self._extend,
            "fulfil": self._fulfil,
        }

    def reserve(self, body: bytes) -> Reserve:
        """Read the body of a reserve."""
        return self.one_pass.reserve(body) or self._reserve(read_json(body))

    def confirm(self, body: bytes, reservation_id: str) -> Confirm:
        """Read the body of a confirm of the reservation of the path."""
        found = self.one_pass.confirm(body, reservation_id)
        return found or self._confirm(read_json(body), reservation_id)

    def release(self, body: bytes, reservation_id: str) -> Release:
        """Read the body of a release of the reservation of the path."""
        found = self.one_pass.release(body, reservation_id)
        return found or self._release(read_json(body), reservation_id)

    def extend(self, body: bytes, reservation_id: str) -> Extend:
        """Read the body of an extend of the reservation of the path."""
        return self._extend(read_json(body), reservation_id)

    def fulfil(self, body: bytes, reservation_id: str) -> Fulfil:
        """Read the body of a fulfil of the reservation of the path."""
        return self._fulfil(read_json(body), reservation_id)

    def valid_batch(self, body: bytes) -> list[Operation] | None:
        """Read a batch in one pass where every operation in it is valid; else `batch` must."""
        return self.one_pass.batch(body)

    def batch(self, body: bytes) -> list[Any]:
        """Read a batch as far as the list of its operations; each is then read by `operation`."""
        return self._validate(self.forms.batch, read_json(body)).operations

    def operation(self, raw: Any) -> Operation:
        """Read one operation of a batch; pointers are relative to it."""
        if not isinstance(raw, dict):
            raise InvalidRequest([("", "is no object")])
        verb = raw.get("op")
        if not isinstance(verb, str) or verb not in OPERATIONS:
            known = ", ".join(OPERATIONS)
            reason = f"must be one of {known}" if "op" in raw else f"is required: one of {known}"
            raise InvalidRequest([("/op", reason)])
        members = {name: value for name, value in raw.items() if name != "op"}
        if verb == "reserve":
            return self._reserve(members)
        reservation_id = members.pop("reservation_id", None)
        errors = self._id_errors(reservation_id, given="reservation_id" in raw)
        try:
            operation = self._by_verb[verb](members, str(reservation_id))
        except InvalidRequest as error:
            raise InvalidRequest(errors + error.errors) from error
        if errors:
            raise InvalidRequest(errors)
        return operation

    def set_stock(self, body: bytes, sku: str | None) -> SetStock:
        """Read a stock count; a SKU of the path that cannot be one is an error among the others.

        None stands for a path that is no text.
        """
        form = self._validate(self.forms.set_stock, read_json(body), _sku_errors(sku))
        if_on_hand = None if form.if_on_hand is None else _exact(form.if_on_hand)
        return SetStock(sku or "", form.warehouse, form.on_hand, form.safety_stock, if_on_hand)

    def adjust_stock(self, body: bytes, sku: str) -> AdjustStock:
        """Read a stock difference."""
        form = self._validate(self.forms.adjust_stock, read_json(body))
        delta = _exact(form.delta)
        return AdjustStock(sku, form.warehouse, delta, form.adjustment_id, form.reason)

    def quotas(self, body: bytes, sku: str | None) -> tuple[str, tuple[ChannelQuota, ...]]:
        """Read the warehouse and all quotas of a level."""
        data = read_json(body)
        form = self._validate(self.forms.quotas, data, _sku_errors(sku) + quota_errors(data))
        return form.warehouse, tuple(
            ChannelQuota(
                quota.channel,
                quota.floor,
                quota.ceiling,
                None if quota.until is None else milliseconds(quota.until),
            )
            for quota in form.quotas
        )

    def reason(self, body: bytes) -> str:
        """Read why something is done."""
        return self._validate(self.forms.reason, read_json(body)).reason

    def skus_and_reason(self, body: bytes) -> tuple[list[str], str]:
        """Read SKUs, each once, and why something is done to them."""
        form = self._validate(self.forms.skus, read_json(body))
        return list(dict.fromkeys(form.skus)), form.reason

    def breaker_policy(self, body: bytes) -> BreakerPolicyForm:
        """Read a breaker's policy."""
        return self._validate(self.forms.breaker_policy, read_json(body))

    def read(self, form: type[_F], body: bytes) -> _F:
        """Read a body by a form that needs nothing else."""
        return self._validate(form, read_json(body))

    def clock(self, body: bytes) -> ClockForm:
        """Read a move of the test clock."""
        form = self._validate(self.forms.clock, read_json(body))
        if form.advance_seconds is None and form.freeze is None:
            raise InvalidRequest([("", "needs advance_seconds, freeze, or both")])
        return form

    # -- one operation from JSON data ------------------------------------------------------------

    def _reserve(self, data: Any, _path_id: str = "") -> Reserve:
        form = self._validate(self.forms.reserve, data)
        return Reserve(
            form.reservation_id,
            self.lines(form.lines),
            form.ttl_seconds * 1000,
            form.confirm,
        )

    def _confirm(self, data: Any, reservation_id: str) -> Confirm:
        form = self._validate(self.forms.confirm, data)
        return Confirm(reservation_id, form.if_expired == "reinstate")

    def _release(self, data: Any, reservation_id: str) -> Release:
        return Release(reservation_id, self._validate(self.forms.release, data).reason or "")

    def _extend(self, data: Any, reservation_id: str) -> Extend:
        return Extend(reservation_id, self._validate(self.forms.extend, data).ttl_seconds * 1000)

    def _fulfil(self, data: Any, reservation_id: str) -> Fulfil:
        form = self._validate(self.forms.fulfil, data, _both_or_neither(data))
        if form.fulfilment_id is None or form.lines is None:
            return Fulfil(reservation_id)
        return Fulfil(reservation_id, form.fulfilment_id, self.lines(form.lines))

    def lines(self, lines: Iterable[LineForm]) -> tuple[Line, ...]:
        """Sum lines, and put them into their order."""
        return canonical_lines(
            [Line(line.sku, line.warehouse, line.quantity) for line in lines],
            max_quantity=self._max_quantity,
        )

    # -- validation ------------------------------------------------------------------------------

    def _validate(self, form: type[_F], data: Any, more: Sequence[tuple[str, str]] = ()) -> _F:
        """Judge data by a form; `more` are the errors of rules that a form cannot say."""
        errors = list(more)
        try:
            valid = form.model_validate(data)
        except ValidationError as error:
            errors += [_explain(item) for item in error.errors(include_url=False)]
            errors += self._excessive_sums(data, errors)
            raise InvalidRequest(errors) from error
        if errors:
            raise InvalidRequest(errors)
        return valid

    def _excessive_sums(self, data: Any, errors: Errors) -> Errors:
        """Judge the sums of those lines that are valid by themselves.

        Where the body or the list is wrong as a whole, nothing was said of each line.
        """
        raw = data.get("lines") if isinstance(data, dict) else None
        if not isinstance(raw, list) or any(pointer in {"", "/lines"} for pointer, _ in errors):
            return []
        broken = {pointer.split("/")[2] for pointer, _ in errors if pointer.startswith("/lines/")}
        valid = [item for index, item in enumerate(raw) if str(index) not in broken]
        try:
            self.lines(self.forms.line.model_validate(item) for item in valid)
        except InvalidRequest as error:
            return error.errors
        return []

    def _id_errors(self, value: Any, *, given: bool) -> Errors:
        if not given:
            return [("/reservation_id", "is required")]
        data = {"reservation_id": value, "lines": [{"sku": "x", "quantity": 1}]}
        try:
            self.forms.reserve.model_validate(data)
        except ValidationError as error:
            found = [_explain(item) for item in error.errors(include_url=False)]
            return [item for item in found if item[0] == "/reservation_id"]
        return []

    def foreign_lines(self, raw: Any, foreign: Iterable[tuple[str, str]]) -> Errors:
        """Point at the lines of a part that are not in the reservation.

        `raw` is the valid JSON data of the part, `foreign` their SKUs and warehouses.
        """
        wanted, default = set(foreign), self._settings.default_warehouse
        return [
            (f"/lines/{index}/sku", "is not in the reservation, in this warehouse")
            for index, line in enumerate(raw["lines"])
            if (line["sku"], line.get("warehouse", default)) in wanted
        ]


def read_json(body: bytes) -> Any:
    """Read a body as JSON data; an empty one counts as `{}`, of a repeated member the last counts.

    Raises Refused (`malformed-request`) for whatever is no JSON in UTF-8.
    """
    if not body:
        return {}
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        return _read_leniently(body, str(error))


def _read_leniently(body: bytes, reason: str) -> Any:
    """Read what the fast parser refuses for its content: escaped lone surrogates, deep nesting.

    They are JSON; where they stand in a value the form refuses them with a pointer.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        _malformed(f"The body is not UTF-8 (byte {error.start})")
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        _malformed(f"The body is not JSON: {reason}")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _malformed(cause: str) -> NoReturn:
    detail = f"{cause}; send one JSON object in UTF-8."
    raise Refused(Problem(Slug.MALFORMED_REQUEST, detail)) from None


def _exact(value: int) -> int:
    """Bound an integer to what a script computes with; no level is near, so equality stays."""
    return max(-_MAX_EXACT, min(_MAX_EXACT, value))


def _both_or_neither(data: Any) -> Errors:
    if isinstance(data, dict) and ("fulfilment_id" in data) != ("lines" in data):
        missing = "lines" if "fulfilment_id" in data else "fulfilment_id"
        present = "fulfilment_id" if missing == "lines" else "lines"
        return [(f"/{missing}", f"is required where {present} is given; ship all with {{}}")]
    return []


def quota_errors(data: Any) -> Errors:
    """Judge what spans the members of quotas, as far as they can be read."""
    errors: Errors = []
    channels: set[str] = set()
    raw = data.get("quotas") if isinstance(data, dict) else None
    for index, quota in enumerate(raw[:MAX_QUOTAS] if isinstance(raw, list) else ()):
        if not isinstance(quota, dict):
            continue
        channel, floor, ceiling = (quota.get(name) for name in ("channel", "floor", "ceiling"))
        if isinstance(channel, str):
            if channel in channels:
                errors.append((f"/quotas/{index}/channel", "has a quota in this list already"))
            channels.add(channel)
        if "floor" not in quota and "ceiling" not in quota:
            errors.append((f"/quotas/{index}", "needs a floor, a ceiling, or both"))
        if type(floor) is int and type(ceiling) is int and ceiling < floor:
            errors.append((f"/quotas/{index}/ceiling", "must be at least the floor"))
    return errors


def _sku_errors(sku: str | None) -> Errors:
    problem = "is not percent-encoded UTF-8" if sku is None else sku_problem(sku)
    return [("/sku", problem)] if problem else []


# pydantic's error type -> what to say; `{...}` is filled from the error's context.
_DETAILS: Final = {
    "missing": "is required",
    "extra_forbidden": "is not a member here",
    "int_type": "is no integer (written without a fraction, not as text)",
    "int_from_float": "is no integer (written without a fraction, not as text)",
    "float_type": "is no number",
    "string_type": "is no text",
    "string_unicode": "must not have lone surrogates",
    "string_too_short": "must have at least {min_length} character",
    "string_too_long": "must have at most {max_length} characters",
    "bool_type": "is neither true nor false",
    "list_type": "is no array",
    "model_type": "is no object",
    "model_attributes_type": "is no object",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "too_short": "must have at least {min_length} item",
    "too_long": "must have at most {max_length} items",
}


def _explain(error: ErrorDetails) -> tuple[str, str]:
    context = error.get("ctx", {})
    if error["type"] == "string_pattern_mismatch":
        detail = PATTERN_NAMES.get(context["pattern"], "has the wrong form")
    elif error["type"] in _DETAILS:
        detail = _DETAILS[error["type"]].format(**context)
    else:
        detail = error["msg"]
    return _pointer(error["loc"]), detail


def _pointer(location: Iterable[int | str]) -> str:
    """Write a JSON pointer (RFC 6901); a member's name that UTF-8 cannot say is shown escaped."""
    parts = []
    for part in location:
        text = str(part).encode("utf-8", "backslashreplace").decode()[:_MAX_SHOWN]
        parts.append("/" + text.replace("~", "~0").replace("/", "~1"))
    return "".join(parts)
