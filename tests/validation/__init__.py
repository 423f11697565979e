"""Tests of the proofs that results are exact."""
