"""The one way in: what platforms tell us is kept first, then each order is moved to its truth.

Reading order: `moves` (which step an order needs, pure).
"""
