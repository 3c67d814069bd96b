"""SKU health: the rule, the loop that follows the log, and reads."""
