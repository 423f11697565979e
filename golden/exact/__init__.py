"""Many corrupted versions of one network over many images, exactly as :mod:`golden.reference` and much faster."""
