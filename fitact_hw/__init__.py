"""The accelerator in Python: configuration, instruction set, Verilog generator, compiler, faults, reports."""
