"""All that speaks to Redis or Valkey."""
