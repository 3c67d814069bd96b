"""The event log: what every script wrote, kept for good, and told to whoever asks.

Read in this order: `entries` (an entry of the log, event by event, with the balance after each),
`cloud` (an event as a CloudEvent), `history` (a reservation's way through its events), `archive`
(the log in SQLite, which alone gates trimming), `archivist` (the loop that takes it there),
`feed` (the log from a position on, wherever it is kept).
"""

from reservation.events.entries import KINDS, LogEntry, LoggedEvent, read_entry
from reservation.store.records import version_key

__all__ = ["KINDS", "LogEntry", "LoggedEvent", "read_entry", "version_key"]
