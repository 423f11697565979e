"""PyTorch golden model: networks, data, training, bounds, quantisation and the bit-exact integer reference.

Knows nothing of hardware: it imports torch and numpy, never ``fitact_hw`` or ``sim``.
"""
