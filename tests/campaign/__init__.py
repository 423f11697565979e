"""Fault campaigns through the native engine."""
