"""Energy from the switching activity of a network's operands."""
