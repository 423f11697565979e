"""The native engine: the Verilated machine in process, for fault campaigns."""
