"""The durable outbox to the warehouse, its pacing and its words (a later step)."""
