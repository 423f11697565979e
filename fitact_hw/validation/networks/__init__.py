"""Random whole networks, from PyTorch source to the last layer, against an independent reference."""
