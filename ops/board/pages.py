"""The board's files over HTTP: a shell without data, which asks for them once it has a session."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reservation.api.exchange import OK, Answer
from reservation.api.pipeline import Endpoint
from reservation.api.problems import Problem, Refused, Slug

if TYPE_CHECKING:
    from reservation.api.pipeline import Call

ASSETS: Final = Path(__file__).parent / "assets"
_SHELL: Final = "index.html"
_TYPES: Final = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
}
# Nothing but our own files: no inline script, no other origin, in nobody's frame.
_POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SAFETY: Final = (
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


def board_pages() -> dict[str, dict[str, Endpoint]]:
    """Name the board's pages by path and method; its files are read once."""
    files = {path.name: _answer(path) for path in sorted(ASSETS.iterdir())}

    async def shell(_call: Call) -> Answer:
        """Show the ops board."""
        return files[_SHELL]

    async def asset(call: Call) -> Answer:
        """Give a file of the board."""
        found = files.get(call.segment("name") or "")
        if found is None:
            raise Refused(Problem(Slug.NOT_FOUND, "The board has no such file."))
        etag = dict(found.headers)[b"etag"]
        if call.exchange.headers.get(b"if-none-match") == etag:
            return Answer(_NOT_MODIFIED, b"", found.media_type, found.headers)
        return found

    return {
        "/board": {"GET": Endpoint(shell)},
        "/board/{name}": {"GET": Endpoint(asset)},
    }


_NOT_MODIFIED: Final = 304


def _answer(path: Path) -> Answer:
    content = path.read_bytes()
    etag = b'"%s"' % hashlib.sha256(content).hexdigest()[:16].encode()
    headers: Any = (*_SAFETY, (b"etag", etag))
    return Answer(OK, content, _TYPES[path.suffix], headers)
