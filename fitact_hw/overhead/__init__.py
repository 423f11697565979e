"""What protection costs: area, timing, energy, memory and latency of every scheme, before layout.

`flow.run_overhead` is the whole of it: `technology` (Liberty), `elaborate` and `mapping` (pyosys + ABC in
child processes), `sram` and `energy` (cited models), `schemes` (what is compared), `ecp5` (place and route),
`traffic` (memory and latency per network), `report` and `charts`.
"""
