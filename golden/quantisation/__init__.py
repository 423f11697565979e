"""From float layers to integers with power-of-two scales."""
