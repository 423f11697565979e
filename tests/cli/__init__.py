"""Tests of the command line: what it refuses and how, what it prints where."""
