"""The engine: atomic holds on stock, the one place that changes it."""
