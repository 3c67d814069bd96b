"""The pages for people: what a refusal means, and the API's description. No script, no asset."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any, Final

from reservation.api.exchange import HTML, OK, Answer
from reservation.api.problems import KINDS, Problem, Refused, Slug

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reservation.api.pipeline import Call

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;"
    "color:#1c2430;background:#fff}code,pre{font:14px/1.45 ui-monospace,monospace;"
    "background:#f2f4f7;border-radius:4px}code{padding:.1rem .3rem}pre{padding:.75rem;"
    "overflow:auto}h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2.2rem;"
    "border-top:1px solid #d8dee6;padding-top:1.2rem}table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0;"
    "border-bottom:1px solid #e6eaf0}a{color:#0b5cad}"
    "@media(prefers-color-scheme:dark){body{color:#e6eaf0;background:#14181f}"
    "code,pre{background:#1f2630}a{color:#7db8f0}td,th,h2{border-color:#323b47}}"
)
_SAFETY: Final = (
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
    (b"x-content-type-options", b"nosniff"),
)


async def problem_page(call: Call) -> Answer:
    """Explain what a refusal means and what to do."""
    name = call.segment("slug") or ""
    kind = next((kind for slug, kind in KINDS.items() if slug == name), None)
    if kind is None:
        detail = "There is no problem of this name; /docs lists those there are."
        raise Refused(Problem(Slug.NOT_FOUND, detail))
    later = (
        "The very same request may succeed at another time."
        if kind.same_request_later
        else "The very same request will not succeed later."
    )
    return _page(
        f"{kind.title} — {name}",
        f"<h1>{escape(kind.title)}</h1><p><code>{kind.status} /problems/{name}</code></p>"
        f"<p>{escape(kind.meaning)}</p><h2>What to do</h2><p>{escape(kind.next_step)}</p>"
        f"<p>{later}</p><p><a href='/docs'>All endpoints and problems</a></p>",
    )


def documentation_page(document: Callable[[], dict[str, Any]]) -> Any:
    """Make the endpoint that shows an OpenAPI document to people; it is rendered once."""
    rendered: list[Answer] = []

    async def page(_call: Call) -> Answer:
        """Show this description as a page."""
        if not rendered:
            rendered.append(_page("Holdfast API", "".join(_documentation(document()))))
        return rendered[0]

    return page


def _page(title: str, content: str) -> Answer:
    text = (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width,initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{content}</body></html>"
    )
    return Answer(OK, text.encode(), HTML, _SAFETY)


def _documentation(document: dict[str, Any]) -> Iterator[str]:
    about = document["info"]
    yield f"<h1>{escape(about['title'])} {escape(about['version'])}</h1>"
    yield "".join(f"<p>{escape(part)}</p>" for part in about["description"].split("\n\n"))
    yield "<p><a href='/openapi.json'>openapi.json</a> is the same for machines.</p><ul>"
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    for path, method, operation in operations:
        anchor = operation["operationId"]
        name = f"{method.upper()} {path}"
        summary = escape(operation["summary"])
        yield f"<li><a href='#{anchor}'><code>{escape(name)}</code></a> {summary}</li>"
    yield "</ul>"
    for path, method, operation in operations:
        yield from _operation(path, method, operation)
    yield "<h2>Problems</h2><table>"
    for slug, kind in KINDS.items():
        link = f"<a href='/problems/{slug}'>{slug}</a>"
        yield f"<tr><td>{kind.status}</td><td>{link}</td><td>{escape(kind.title)}</td></tr>"
    yield "</table>"


def _operation(path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    name = f"{method.upper()} {path}"
    yield f"<h2 id='{operation['operationId']}'><code>{escape(name)}</code></h2>"
    yield f"<p>{escape(operation['summary'])}</p>"
    if operation.get("description"):
        yield f"<p>{escape(operation['description'])}</p>"
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        for example in content.get("examples", {}).values():
            value = example["value"]
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield f"<p>{escape(media_type)}</p><pre>{escape(text)}</pre>"
    yield "<table>"
    for status, answer in operation["responses"].items():
        yield f"<tr><td>{escape(status)}</td><td>{escape(answer['description'])}</td></tr>"
    yield "</table>"
