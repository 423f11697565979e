"""The clamps as a sensor: false alarms on clean images against the silent data corruption that an alarm tells of."""
