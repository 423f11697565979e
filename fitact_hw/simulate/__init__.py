"""What `fitact sim` does: a network through the RTL, layer by layer, and upsets in it."""
