"""The OpenAPI document, from the same forms, views and problems that the endpoints use."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from msgspec import Struct
from pydantic import BaseModel, Field, create_model
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema

from reservation.api.exchange import JSON, NO_CONTENT, PROBLEM_JSON
from reservation.api.forms import SKU_SCHEMA, NeverNull, ReservationId, anchored
from reservation.api.problem_views import PROBLEM_VIEWS
from reservation.api.problems import KINDS, Slug
from reservation.api.views import ReservationView, View
from reservation.model import CHANNEL, RESERVATION_ID, WAREHOUSE
from reservation.security import PERMISSIONS, Action, Role, Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic_core import core_schema

    from reservation.api.forms import RequestForms
    from reservation.api.pipeline import Endpoint

ANYTHING: Final = b"*/*"
_REFERENCE: Final = "#/components/schemas/{model}"


class Documented(Struct, frozen=True):
    """What OpenAPI says of one endpoint beyond its docstring."""

    name: str  # the operation id
    tag: str
    answers: Mapping[int, tuple[Any, str]]  # status -> view (None: text), what it means
    refusals: tuple[Slug, ...] = ()  # beyond those that every endpoint with a key has
    form: type[BaseModel] | None = None
    examples: Mapping[str, Any] = {}
    query: tuple[dict[str, Any], ...] = ()
    answer_type: str = JSON.decode()
    replays: bool = False  # a repeat is marked by the header Idempotent-Replayed


ABOUT: Final = (
    "Stock for many channels: one atomic step holds all lines of an order or none.\n\n"
    "Every reservation has an id that the caller chooses, and the id is the idempotency key: "
    "sending the same request again is always safe and has at most one effect.\n\n"
    "Quantities are integers, times RFC 3339 UTC with milliseconds, durations integer seconds. "
    "Every refusal is application/problem+json (RFC 9457); its type names a page that explains it."
)

PATH_PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "reservation_id": {
        "schema": {"type": "string", "pattern": anchored(RESERVATION_ID)},
        "description": "<channel>:<local id>, chosen by the caller.",
        "example": "tmall:2601220001",
    },
    "sku": {
        "schema": SKU_SCHEMA,
        "description": "Percent-encoded; a '/' as %2F.",
        "example": "CATFOOD-10KG",
    },
    "channel": {
        "schema": {"type": "string", "pattern": anchored(CHANNEL)},
        "description": "A channel that the settings name.",
        "example": "douyin",
    },
    "order_id": {
        "schema": {"type": "string", "minLength": 1},
        "description": "A platform's number of an order, percent-encoded; - for none.",
        "example": "4705288465508532862",
    },
    "warehouse": {
        "schema": {"type": "string", "pattern": anchored(WAREHOUSE)},
        "description": "Our name of a warehouse.",
        "example": "main",
    },
    "code": {
        "schema": {"type": "string", "minLength": 1},
        "description": "<reservation id>@<warehouse>, percent-encoded.",
        "example": "tmall:2601220001@main",
    },
    "number": {
        "schema": {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"},
        "description": "A report's, as the list of reports has it.",
        "example": "17",
    },
    "delivery_id": {
        "schema": {"type": "string"},
        "description": "A message's id, as the list of alerts has it.",
        "example": "msg_0123456789abcdef01234567",
    },
    "slug": {
        "schema": {"type": "string", "enum": [str(slug) for slug in Slug]},
        "description": "The last part of a problem's type.",
        "example": "insufficient-stock",
    },
}

_REQUEST_HEADERS: Final = [
    {
        "name": "X-Request-Id",
        "in": "header",
        "schema": {"type": "string"},
        "description": "Comes back, and stands in log and event, where it has 1 to 64 characters "
        "of [A-Za-z0-9._-]; otherwise one is made.",
    },
    {
        "name": "traceparent",
        "in": "header",
        "schema": {"type": "string"},
        "description": "W3C trace context; a valid one is passed on to the event.",
    },
]

_HEADERS: Final = {
    "X-Request-Id": {
        "description": "The request's id.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    },
    "Idempotent-Replayed": {
        "description": "true where the effect was there already.",
        "schema": {"type": "string", "const": "true"},
    },
    "Retry-After": {
        "description": "Seconds to wait before the same request.",
        "schema": {"type": "integer", "minimum": 1},
    },
}


class _Schema(GenerateJsonSchema):
    """JSON Schema without titles, and without the default of what may only be left out."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False


def document(
    table: Mapping[str, Mapping[str, Endpoint]], forms: RequestForms, *, version: str
) -> dict[str, Any]:
    """Write the document for a table of path -> method -> endpoint."""
    operations = _operation_forms(forms)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Holdfast",
            "version": version,
            "summary": "Inventory reservations across sales channels",
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": name}
            for name in (
                "reservations",
                "stock",
                "breakers",
                "history",
                "board",
                "channels",
                "warehouses",
                "operation",
            )
        ],
        "paths": {
            path: {
                method.lower(): _operation(path, endpoint)
                for method, endpoint in methods.items()
                if endpoint.documentation is not None
            }
            for path, methods in table.items()
        },
        "components": {
            "schemas": _schemas(table, operations),
            "headers": _HEADERS,
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key made by 'holdfast keys create'.",
                }
            },
        },
    }


def _schemas(
    table: Mapping[str, Mapping[str, Endpoint]], operations: list[type[BaseModel]]
) -> dict[str, Any]:
    endpoints = [endpoint for methods in table.values() for endpoint in methods.values()]
    told = [one.documentation for one in endpoints if one.documentation is not None]
    forms = {one.form for one in told if one.form is not None}
    views = {view for one in told for view, _ in one.answers.values() if view is not None}
    models = sorted(
        {*forms, *views, *operations, *PROBLEM_VIEWS.values(), ReservationView},
        key=lambda model: model.__name__,
    )
    _, definitions = models_json_schema(
        [(model, "validation") for model in models],
        ref_template=_REFERENCE,
        schema_generator=_Schema,
    )
    schemas: dict[str, Any] = definitions["$defs"]
    items = [_reference(operation) for operation in operations]
    batch = schemas["BatchForm"]["properties"]["operations"]
    batch["items"] = {"oneOf": items, "discriminator": {"propertyName": "op"}}
    result = schemas["ResultView"]["properties"]["problem"]
    result.update(_any_problem(Slug))
    return schemas


class ResultView(View):
    """What became of one operation: `reservation` where it stands, else `problem`."""

    status: int
    reservation: Annotated[ReservationView | None, NeverNull()] = None
    replayed: Annotated[Literal[True] | None, NeverNull()] = None
    problem: Annotated[dict[str, Any] | None, NeverNull()] = None


class BatchView(View):
    """One result for each operation, in order."""

    results: list[ResultView]


def _operation_forms(forms: RequestForms) -> list[type[BaseModel]]:
    """Describe the operations of a batch: the body of each verb, its name, the id."""
    bodies = {
        "reserve": forms.reserve,
        "confirm": forms.confirm,
        "release": forms.release,
        "extend": forms.extend,
        "fulfil": forms.fulfil,
    }
    return [
        create_model(
            f"{verb.capitalize()}Operation",
            __base__=body,
            __doc__=body.__doc__,
            op=(_only(verb), Field()),
            reservation_id=(ReservationId, Field(examples=["tmall:2601220001"])),
        )
        for verb, body in bodies.items()
    ]


def _only(value: str) -> Any:
    return Literal[value]


def _operation(path: str, endpoint: Endpoint) -> dict[str, Any]:
    told: Documented = endpoint.documentation
    text = inspect.getdoc(endpoint.work) or ""
    summary, _, rest = text.partition("\n\n")
    operation: dict[str, Any] = {
        "operationId": told.name,
        "tags": [told.tag],
        "summary": " ".join(summary.split()),
        "description": " ".join(rest.split()) + _roles(endpoint.action),
        "parameters": [*_path_parameters(path), *told.query, *_REQUEST_HEADERS],
        "responses": _responses(endpoint, told),
        "security": [{"key": []}] if endpoint.action else [],
    }
    if endpoint.body is not None:
        media_type = (endpoint.body.media_type or ANYTHING).decode()
        schema = {"type": "string"} if told.form is None else _reference(told.form)
        operation["requestBody"] = {
            "required": told.form is None
            or any(field.is_required() for field in told.form.model_fields.values()),
            "content": {
                media_type: {
                    "schema": schema,
                    "examples": {name: {"value": value} for name, value in told.examples.items()},
                }
            },
        }
    return operation


def _roles(action: Action | None) -> str:
    if action is None:
        return ""
    told = [
        f"{role} (its own channels)" if PERMISSIONS[role][action] is Scope.OWN else str(role)
        for role in Role
        if PERMISSIONS[role][action] is not Scope.NONE
    ]
    return f" Roles: {', '.join(told)}."


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [
        {"name": name, "in": "path", "required": True, **PATH_PARAMETERS[name]} for name in names
    ]


def _responses(endpoint: Endpoint, told: Documented) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, (view, description) in told.answers.items():
        headers = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
        if told.replays:
            headers["Idempotent-Replayed"] = {"$ref": "#/components/headers/Idempotent-Replayed"}
        responses[str(status)] = {"description": description, "headers": headers}
        if status != NO_CONTENT:
            schema = {"type": "string"} if view is None else _reference(view)
            responses[str(status)]["content"] = {told.answer_type: {"schema": schema}}
    by_status: dict[int, list[Slug]] = {}
    for slug in dict.fromkeys([*_common(endpoint), *told.refusals]):
        by_status.setdefault(KINDS[slug].status, []).append(slug)
    for status, slugs in sorted(by_status.items()):
        responses[str(status)] = _refusal(slugs)
    return responses


def _common(endpoint: Endpoint) -> Iterable[Slug]:
    if endpoint.action is not None:
        yield Slug.UNAUTHENTICATED
        yield Slug.TOO_MANY_REQUESTS
        yield Slug.STORE_UNAVAILABLE
        if endpoint.action not in {Action.READ_RESERVATIONS, Action.READ_STOCK}:
            yield Slug.FORBIDDEN
    if endpoint.body is not None:
        yield from (Slug.REQUEST_TOO_LARGE, Slug.MALFORMED_REQUEST, Slug.INVALID_REQUEST)


def _refusal(slugs: list[Slug]) -> dict[str, Any]:
    headers = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    if {Slug.TOO_MANY_REQUESTS, Slug.STORE_UNAVAILABLE, Slug.SKU_SUSPENDED} & set(slugs):
        headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
    return {
        "description": " or ".join(f"{slug}: {KINDS[slug].title}" for slug in slugs),
        "headers": headers,
        "content": {PROBLEM_JSON.decode(): {"schema": _any_problem(slugs)}},
    }


def _any_problem(slugs: Iterable[Slug]) -> dict[str, Any]:
    names = {f"/problems/{slug}": _reference(PROBLEM_VIEWS[slug]) for slug in slugs}
    if len(names) == 1:
        return next(iter(names.values()))
    mapping = {name: reference["$ref"] for name, reference in names.items()}
    return {
        "oneOf": list(names.values()),
        "discriminator": {"propertyName": "type", "mapping": mapping},
    }


def _reference(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": _REFERENCE.format(model=model.__name__)}
