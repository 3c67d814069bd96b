"""Structured logs: JSON lines for machines, colours for a terminal, never a secret.

Whatever a module logs passes `redact`: fields that may carry a credential are blanked by name, and
anything that looks like a key is blanked wherever it stands, in messages of libraries too.
"""

from __future__ import annotations

import io
import logging
import re
import sys
from typing import TYPE_CHECKING, Any, Final

import orjson
import structlog

from ops.log_lines import Lines

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.typing import Processor

REDACTED: Final = "[redacted]"

_SECRET_FIELDS: Final = frozenset(
    {"authorization", "token", "secret", "password", "admin_key", "cookie", "api_key"}
)
# A key of ours, a bearer header, the password inside an address, the key of a robot in its query,
# the secret of a webhook.
_SECRETS: Final = re.compile(
    r"hf_[a-z0-9]{4,32}_[A-Za-z0-9]{32,128}"
    r"|(?i:bearer)\s+[^\s\"',]+"
    r"|(?<=://)[^\s/@\"']*:[^\s/@\"']*(?=@)"
    r"|(?i:[?&](?:key|access_token|sign)=[^\s&\"']+)"
    r"|whsec_[A-Za-z0-9+/=]+"
)
# What no text with a secret is without: most texts have none of it, and that is soon seen.
_SUSPECT: Final = re.compile(r"[_\s:?&]")
_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
# Chatty below this level, whatever ours is.
_LIBRARIES: Final = {
    "uvicorn.access": logging.CRITICAL,
    "asyncio": logging.WARNING,
    "httpx": logging.WARNING,  # a line for every request of ours, with its address
    "httpcore": logging.WARNING,
}


def configure(*, level: str = "info", form: str = "auto", stream: Any = None) -> None:
    """Set up logging for this process, for structlog and for the standard library alike.

    `form` is "json", "console", or "auto": console where the stream is a terminal. Lines go to
    standard error, so that a command's output stays its own.
    """
    target = sys.stderr if stream is None else stream
    as_json = form == "json" or (form == "auto" and not target.isatty())
    render: list[Processor] = [
        *([structlog.processors.format_exc_info] if as_json else []),
        redact,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _as_json if as_json else _console(colors=target.isatty()),
    ]
    written = Lines(target)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            *render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: written,
        cache_logger_on_first_use=True,
    )
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
    ]
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(_LEVELS[level])
    for name, floor in _LIBRARIES.items():
        logging.getLogger(name).setLevel(max(floor, _LEVELS[level]))


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blank what may be a secret, by the field's name or by its look."""
    for name, value in event.items():
        if name.lower() in _SECRET_FIELDS:
            event[name] = REDACTED
        elif isinstance(value, str):
            if _SUSPECT.search(value):
                event[name] = _SECRETS.sub(REDACTED, value)
        elif not isinstance(value, int | float | None):
            event[name] = _redacted_deep(value)
    return event


def _redacted_deep(value: Any) -> Any:
    """Blank secrets inside values of any type that JSON or `str` would show."""
    if isinstance(value, dict):
        return {
            name: REDACTED if str(name).lower() in _SECRET_FIELDS else _redacted_deep(item)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted_deep(item) for item in value]
    if isinstance(value, bool | int | float | None):
        return value
    return _SECRETS.sub(REDACTED, str(value))


def _console(*, colors: bool) -> Processor:
    """Render for people; tracebacks without local variables, which may be secrets."""

    def traceback(stream: Any, error: Any) -> None:
        plain = io.StringIO()
        structlog.dev.plain_traceback(plain, error)
        stream.write(_SECRETS.sub(REDACTED, plain.getvalue()))

    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=traceback)


def _as_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
