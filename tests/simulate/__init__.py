"""Tests of `fitact sim`."""
