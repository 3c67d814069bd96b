"""The event log: what every script wrote, kept for good, and told to whoever asks.

Read in this order: `entries` (an entry of the log, event by event), `balances` (what events do to
the balances of levels), `cloud` (an event as a CloudEvent), `life` (a reservation's way through its
events), `figures` (a day, counted), `archive` and `archive_writer` (the log in SQLite, which alone
gates trimming), `snapshot` (what the store has at one position), `parting` (where log and archive
are no longer the same), `archivist` (the loop that takes the log there, and goes back where the
store did), `history` with `ledger` and `timeline` (lists, a SKU's events and balances, proof),
`feed` (the log from a position on, wherever it is kept).
"""

from reservation.events.entries import KINDS, LogEntry, LoggedEvent, read_entry

__all__ = ["KINDS", "LogEntry", "LoggedEvent", "read_entry"]
