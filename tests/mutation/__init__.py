"""Planted bugs: small, plausible changes of the product, each with the tests that must fail on it."""
