"""Tests of what all studies share to show their results."""
