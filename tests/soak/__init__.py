"""Random machines, networks, stalls and upsets until the time is over: engine, cocotb and golden model must agree."""
