"""Tests of fault maps, the fast evaluator, and the experiments over bit error rates."""
