"""The exception tree: bugs and outages. What the world refuses is a `Status`, never raised."""

from __future__ import annotations

from typing import Literal

Effect = Literal["not_applied", "unknown"]


class HoldfastError(Exception):
    """Base of everything that Holdfast raises on purpose."""


class ConfigurationError(HoldfastError):
    """A setting is missing, malformed or contradicts another; the text names it and the remedy."""


class InvalidRequest(HoldfastError):
    """A request breaks a rule of form; nothing was sent to the store.

    `errors` lists every broken rule as (JSON pointer, detail), in the order of the request.
    """

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{pointer}: {detail}" for pointer, detail in errors))
        self.errors = errors


class StoreError(HoldfastError):
    """Anything that goes wrong between us and Redis or Valkey."""


class StoreUnavailable(StoreError):
    """The store gave no usable answer.

    `effect` says what became of the request: `not_applied` is certain, `unknown` means that the
    call may have taken effect. Sending the same reservation id again is safe in both cases.
    """

    def __init__(self, detail: str, *, effect: Effect, retry_after_seconds: int = 1) -> None:
        super().__init__(detail)
        self.effect: Effect = effect
        self.retry_after_seconds = retry_after_seconds


class StoreLoading(StoreUnavailable):
    """The store reads its data from disk; nothing was applied, and to try again soon is futile."""

    def __init__(self) -> None:
        super().__init__("the store is loading its data from disk", effect="not_applied")


class Overloaded(StoreUnavailable):
    """A bounded queue or the event log is full; nothing was applied."""

    def __init__(self, detail: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(detail, effect="not_applied", retry_after_seconds=retry_after_seconds)


class ImportInterrupted(StoreUnavailable):
    """The store failed in the middle of an import; the first `rows_applied` rows stand.

    Importing the same file again is safe: a level that is already as asked stays unchanged.
    """

    def __init__(self, detail: str, *, rows_applied: int, effect: Effect) -> None:
        super().__init__(detail, effect=effect)
        self.rows_applied = rows_applied


class ArchiveUnavailable(HoldfastError):
    """The archive of the event log cannot be used here, or has not come far enough."""


class PositionLost(HoldfastError):
    """What follows a position in the event log is not known, or its entry never survived.

    Who was there has to begin anew, with the oldest that is kept or with what is true now.
    """


class UnsafeStore(StoreError):
    """A start-up check refused the store; the text names the finding and how to mend it."""


class ScriptBug(StoreError):
    """A script answered BADARG or an answer has an impossible shape: a bug of ours."""
