"""FMEDA: failure rates of a machine by structure and class, and the hardware metrics of ISO 26262, from campaigns."""
