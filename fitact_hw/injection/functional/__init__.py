"""Upsets that change data only, judged without RTL: by access trace, functional arithmetic and golden model.

Control does not depend on data (`tests/generator/test_data_paths.py` shows it in the netlist), so the access trace
tells which reads of a buffer word come after an upset and before the next write, the program which pixel of which
weight tile each of them serves, and the arithmetic of :mod:`fitact_hw.fsim` which words the epilogue then gives.

order     GEMMs, output tiles, what LOADs bring and STOREs take, as arrays over the whole program
schedule  proof that a trace is that of the program; from a read's cycle to its place in the program
contents  what buffers hold in the fault-free run of an image
places    the reads that an upset changes
sums, maxima, epilogues   from changed reads to changed words of layer outputs
judge     all of that for one case
"""
