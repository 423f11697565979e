"""Tests of golden/. A package, because the pyverilog wheel installs a top-level ``tests``."""
