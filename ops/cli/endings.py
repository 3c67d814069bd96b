"""How a command ends: the exit codes of the contract, and an error as a sentence."""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rich.console import Console
from rich.text import Text

from reservation.config import Settings
from reservation.errors import (
    ConfigurationError,
    HoldfastError,
    InvalidRequest,
    StoreUnavailable,
)
from reservation.store.places import socket_path

DONE, ANSWER_IS_NO, WRONG_USAGE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130

# The first that fits; contract section 7.
_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (KeyboardInterrupt, INTERRUPTED),
    (ConfigurationError, WRONG_USAGE),
    (InvalidRequest, WRONG_USAGE),
    (StoreUnavailable, UNREACHABLE),
    (HoldfastError, ANSWER_IS_NO),
)

T = TypeVar("T")


class _Unread(Console):
    """A console that nobody need read: what is said into a closed pipe is lost, and no fault.

    So `holdfast up | head -1` serves on and ends as it should, and `holdfast audit | head -1` ends
    with the audit's answer.
    """

    def on_broken_pipe(self) -> None:
        """Say nothing any more, also not when the process ends."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)


def output() -> Console:
    """Make the console for a command's output; what goes into a pipe or a file is never cut."""
    console = _console()
    return console if console.is_terminal else _console(width=250)


def errors() -> Console:
    """Make the console for what is not the command's output."""
    return _console(stderr=True)


def _console(*, stderr: bool = False, width: int | None = None) -> Console:
    """Make a console that shows texts as they are: a SKU `[red]` is no markup, `:x:` no picture."""
    return _Unread(
        stderr=stderr, width=width, soft_wrap=True, highlight=False, markup=False, emoji=False
    )


def report(error: BaseException) -> int:
    """Say in a sentence what ended the command; return the exit code.

    Whatever we did not foresee is said too, with the way to the traceback.
    """
    debug = os.environ.get("HOLDFAST_LOG_LEVEL") == "debug"
    if debug:
        traceback.print_exception(error)
    code = next((code for kind, code in _CODES if isinstance(error, kind)), None)
    if code == INTERRUPTED:
        return INTERRUPTED
    text = str(error)
    if code is None:
        code = ANSWER_IS_NO
        text = f"a fault of ours: {type(error).__name__}: {error}"
        if not debug:
            text += " (HOLDFAST_LOG_LEVEL=debug shows where; please report it)"
    errors().print(Text(f"holdfast: {text}", style="red"))
    return code


def run_with_store(settings: Settings, work: Awaitable[T]) -> T:
    """Run work that needs the store; where it does not answer, say which and what to do.

    Raises StoreUnavailable with the next step.
    """

    async def wrapped() -> T:
        return await work

    try:
        return asyncio.run(wrapped())
    except StoreUnavailable as error:
        if settings.redis_url is not None:
            where = "check HOLDFAST_REDIS_URL, and that the server runs"
        else:
            where = (
                f"start the one of {settings.data_dir} with 'holdfast up' (its socket is "
                f"{socket_path(settings.data_dir)}), or give --data-dir or HOLDFAST_REDIS_URL"
            )
        message = f"{error}: {where}"
        raise StoreUnavailable(message, effect=error.effect) from error


def ending_well(command: Callable[[], object]) -> None:
    """Run the command line and leave with its exit code, never with a traceback."""
    try:
        command()
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 (the last resort)
        sys.exit(report(error))
