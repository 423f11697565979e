"""Tests of the fast exact evaluator."""
