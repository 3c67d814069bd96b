"""The event log: what every script wrote, kept for good, and told to whoever asks.

Read in this order: `entries` (an entry of the log, event by event, with the balance after each),
`cloud` (an event as a CloudEvent), `life` (a reservation's way through its events), `archive` and
`archive_writer` (the log in SQLite, which alone gates trimming), `snapshot` (what the store has at
one position), `parting` (where log and archive are no longer the same), `archivist` (the loop that
takes the log there, and goes back where the store did), `history` (lists, ledger, proof), `feed`
(the log from a position on, wherever it is kept).
"""

from reservation.events.entries import KINDS, LogEntry, LoggedEvent, read_entry

__all__ = ["KINDS", "LogEntry", "LoggedEvent", "read_entry"]
