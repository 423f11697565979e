"""Tests mirror the folders; a package, because pyverilog installs a top-level `tests` of its own."""
