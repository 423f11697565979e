"""Line and toggle coverage of the cells in `rtl/` by their tests, as Verilator counts it (`make coverage`)."""
