"""RTL simulation: toolchain, Verilator build, test top with memory model and cocotb test bench."""
