"""The form of every request body: the one definition, for validation and for OpenAPI alike.

The models here say what the contract says of any installation; `request_forms` puts the limits of
one installation's settings into them.
"""

from __future__ import annotations

import re
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar, get_args

from msgspec import Struct
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    StringConstraints,
    WithJsonSchema,
    create_model,
)
from pydantic_core import PydanticCustomError

from reservation.model import (
    CHANNEL,
    LOCAL_ID,
    MAX_SKU_CHARACTERS,
    MAX_STOCK,
    RESERVATION_ID,
    WAREHOUSE,
    sku_problem,
)
from reservation.quota_model import MAX_QUOTAS
from reservation.times import milliseconds

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

    from reservation.config import Settings

MAX_REASON_CHARACTERS: Final = 200
MAX_CLOCK_SECONDS: Final = 10 * 366 * 86_400  # the test clock jumps at most ten years at once


def anchored(pattern: re.Pattern[str]) -> str:
    """Write a pattern of `model` as JSON Schema wants it: for the whole text."""
    return f"^{pattern.pattern}$"


# What a SKU is, for readers of the schema; `model.sku_problem` decides.
_CONTROL = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
_BLANK = r" \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
SKU_SCHEMA: Final[dict[str, Any]] = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_SKU_CHARACTERS,
    "pattern": rf"^(?!\.\.?$)[^{_CONTROL}{_BLANK}](?:[^{_CONTROL}]*[^{_CONTROL}{_BLANK}])?$",
    "description": "Characters of any script, compared byte for byte; no control characters, no "
    "blank at either end, not '.' or '..'.",
    "examples": ["CATFOOD-10KG"],
}

TIME: Final = re.compile(r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d(?:\.\d{1,3})?Z", re.ASCII)

# What a text of each pattern is called when it does not match.
PATTERN_NAMES: Final = {
    anchored(RESERVATION_ID): "is no reservation id: <channel>:<local id>, the channel "
    "[a-z][a-z0-9_-]{1,31}, the local id [A-Za-z0-9._-]{1,64}",
    anchored(LOCAL_ID): "is no id: 1 to 64 characters of [A-Za-z0-9._-]",
    anchored(WAREHOUSE): "is no warehouse: 1 to 32 characters of [A-Za-z0-9_-]",
    anchored(CHANNEL): "is no channel: [a-z][a-z0-9_-]{1,31}",
    anchored(TIME): "is no time in UTC, as 2026-01-22T10:00:00Z",
}


class NeverNull:
    """An optional member is left out, never null: the schema of `X | None` is that of X.

    Bounds stand behind it in the annotation; in the default `Field` they would be lost.
    """

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        (present,) = (kind for kind in get_args(source) if kind is not NoneType)
        return handler.generate_schema(present)


def _well_formed_sku(value: str) -> str:
    problem = sku_problem(value)
    if problem:
        raise PydanticCustomError("sku", "{problem}", {"problem": problem})
    return value


def _encodable(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("surrogate", "must not have lone surrogates") from None
    return value


def _whole_milliseconds(value: float) -> float:
    if abs(value * 1000 - round(value * 1000)) > 1e-6:  # above any float's noise
        raise PydanticCustomError("milliseconds", "must have at most three decimals")
    return value


def _time(value: str) -> str:
    try:
        milliseconds(value)
    except ValueError:
        raise PydanticCustomError("time", "is no time since 1970") from None
    return value


def _not_zero(value: int) -> int:
    if value == 0:
        raise PydanticCustomError("zero", "must not be 0")
    return value


Sku = Annotated[str, AfterValidator(_well_formed_sku), WithJsonSchema(SKU_SCHEMA)]
ReservationId = Annotated[str, StringConstraints(pattern=anchored(RESERVATION_ID))]
LocalId = Annotated[str, StringConstraints(pattern=anchored(LOCAL_ID))]
Channel = Annotated[str, StringConstraints(pattern=anchored(CHANNEL))]
Time = Annotated[
    str,
    StringConstraints(pattern=anchored(TIME)),
    AfterValidator(_time),
]
Warehouse = Annotated[str, StringConstraints(pattern=anchored(WAREHOUSE))]
Reason = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_REASON_CHARACTERS),
    AfterValidator(_encodable),
]
Level = Annotated[int, Field(ge=0, le=MAX_STOCK)]


class Form(BaseModel):
    """A JSON object of which every member is named here, with no conversion between types."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class LineForm(Form):
    """So many units of one SKU; the same SKU and warehouse named twice is summed."""

    sku: Sku
    warehouse: Warehouse = "main"
    quantity: int = Field(ge=1)


class ReserveForm(Form):
    """Hold the lines, all or nothing, or commit them at once with `confirm`."""

    reservation_id: ReservationId = Field(examples=["tmall:2601220001"])
    lines: list[LineForm] = Field(min_length=1)
    ttl_seconds: int = Field(default=1800, ge=1)
    confirm: bool = Field(default=False, description="For orders that arrive paid.")


class ConfirmForm(Form):
    """Commit a hold."""

    if_expired: Literal["refuse", "reinstate"] = Field(
        default="refuse", description="reinstate retakes the stock of an expired hold where free."
    )


class ReleaseForm(Form):
    """Give back what has not left."""

    reason: Annotated[Reason | None, NeverNull()] = None


class ExtendForm(Form):
    """Set the deadline to now plus `ttl_seconds`, earlier or later."""

    ttl_seconds: int = Field(ge=1)


class FulfilForm(Form):
    """Ship everything left (an empty object), or one part: both members or neither."""

    fulfilment_id: Annotated[LocalId | None, NeverNull()] = None
    lines: Annotated[list[LineForm] | None, NeverNull()] = None


class BatchForm(Form):
    """Operations in order; each is judged alone, by the form of its verb."""

    operations: list[Any]


class SetStockForm(Form):
    """Set a level to a count; an absent safety stock stays as it is, 0 on a new level."""

    warehouse: Warehouse = "main"
    on_hand: Level
    safety_stock: Annotated[Level | None, NeverNull()] = None
    if_on_hand: Annotated[int | None, NeverNull()] = Field(
        default=None, description="Write only if this many are on hand now."
    )


class AdjustStockForm(Form):
    """Change a level by a difference, once per `adjustment_id`."""

    warehouse: Warehouse = "main"
    delta: Annotated[int, AfterValidator(_not_zero)] = Field(
        json_schema_extra={"not": {"const": 0}}, examples=[-2]
    )
    adjustment_id: LocalId = Field(examples=["count-2026-01-22"])
    reason: Reason = Field(examples=["stocktaking"])


class QuotaForm(Form):
    """What is kept of a level for a channel, and how much it may have at once; one or both."""

    channel: Channel = Field(examples=["douyin"])
    floor: Level = Field(default=0, description="Units kept for it.")
    ceiling: Annotated[Level | None, NeverNull()] = Field(
        default=None, description="Units held or committed at once, at least the floor."
    )
    until: Annotated[Time | None, NeverNull()] = Field(
        default=None,
        description="When the quota ends by itself.",
        examples=["2026-01-22T12:00:00Z"],
    )


class QuotasForm(Form):
    """All quotas of a level, each channel once; an empty list removes them."""

    warehouse: Warehouse = "main"
    quotas: list[QuotaForm] = Field(max_length=MAX_QUOTAS)


class ReasonForm(Form):
    """Why a breaker is tripped or reset; the acting key's name is recorded with it."""

    reason: Reason = Field(examples=["recall of lot 7"])


class SkusForm(ReasonForm):
    """The same for many SKUs at once."""

    skus: list[Sku] = Field(min_length=1, max_length=100)


class BreakerPolicyForm(Form):
    """A policy of a SKU's own; what is left out stays as it is."""

    threshold: Annotated[int | None, NeverNull(), Field(ge=1, le=20)] = None
    window_seconds: Annotated[int | None, NeverNull(), Field(ge=1, le=86_400)] = None
    cool_down_seconds: Annotated[int | None, NeverNull(), Field(ge=0, le=86_400)] = None
    exempt: Annotated[bool | None, NeverNull()] = None


class ClockForm(Form):
    """Move the test clock: jump forward, stand still, or both. At least one member."""

    advance_seconds: Annotated[
        float | None,
        NeverNull(),
        Field(gt=0, le=MAX_CLOCK_SECONDS),
        AfterValidator(_whole_milliseconds),
    ] = None
    freeze: Annotated[bool | None, NeverNull()] = None


_F = TypeVar("_F", bound=Form)


class RequestForms(Struct, frozen=True):
    """The forms with one installation's limits in them."""

    line: type[LineForm]
    reserve: type[ReserveForm]
    confirm: type[ConfirmForm]
    release: type[ReleaseForm]
    extend: type[ExtendForm]
    fulfil: type[FulfilForm]
    batch: type[BatchForm]
    set_stock: type[SetStockForm]
    adjust_stock: type[AdjustStockForm]
    quotas: type[QuotasForm]
    reason: type[ReasonForm]
    skus: type[SkusForm]
    breaker_policy: type[BreakerPolicyForm]
    clock: type[ClockForm]


def request_forms(settings: Settings) -> RequestForms:
    """Put the limits and defaults of `settings` into the forms."""
    warehouse = _warehouse(settings)
    ttl: dict[str, Any] = {"ge": 1, "le": settings.max_ttl_seconds}
    units = Field(ge=1, le=settings.max_quantity_per_line, examples=[2])
    line = _limited(LineForm, warehouse=warehouse, quantity=(int, units))
    lines = list[line]  # type: ignore[valid-type]
    bounds: dict[str, Any] = {"min_length": 1, "max_length": settings.max_lines}
    return RequestForms(
        line=line,
        reserve=_limited(
            ReserveForm,
            lines=(lines, Field(**bounds)),
            ttl_seconds=(int, Field(default=settings.default_ttl_seconds, **ttl)),
        ),
        confirm=ConfirmForm,
        release=ReleaseForm,
        extend=_limited(ExtendForm, ttl_seconds=(int, Field(**ttl))),
        fulfil=_limited(
            FulfilForm,
            lines=(Annotated[lines | None, NeverNull(), Field(**bounds)], None),
        ),
        batch=_limited(
            BatchForm,
            operations=(
                list[Any],
                Field(min_length=1, max_length=settings.max_batch_operations),
            ),
        ),
        set_stock=_limited(SetStockForm, warehouse=warehouse),
        adjust_stock=_limited(AdjustStockForm, warehouse=warehouse),
        quotas=_limited(QuotasForm, warehouse=warehouse),
        reason=ReasonForm,
        skus=SkusForm,
        breaker_policy=BreakerPolicyForm,
        clock=ClockForm,
    )


def _limited(form: type[_F], **fields: Any) -> type[_F]:
    """Derive a form whose named fields are tighter; its name and description stay."""
    return create_model(form.__name__, __base__=form, __doc__=form.__doc__, **fields)


def _warehouse(settings: Settings) -> tuple[Any, Any]:
    names = settings.warehouses
    default = settings.default_warehouse
    if names is None:
        return Warehouse, Field(default=default)

    def known(value: str) -> str:
        if value not in names:
            problem = f"is none of the warehouses here: {', '.join(sorted(names))}"
            raise PydanticCustomError("warehouse", "{problem}", {"problem": problem})
        return value

    schema = WithJsonSchema({"type": "string", "enum": sorted(names)})
    return Annotated[Warehouse, AfterValidator(known), schema], Field(default=default)
