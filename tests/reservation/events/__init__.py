"""The event log: read back, archived, fed on."""
