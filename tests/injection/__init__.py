"""Tests of one upset: engine, traces, outcome."""
