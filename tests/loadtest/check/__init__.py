"""The judge of a load test, on histories that are true and on ones that were tampered with."""
