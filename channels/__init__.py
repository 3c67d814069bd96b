"""Adapters of the sales channels: platform words to ours, one intake, one feed (a later step)."""
