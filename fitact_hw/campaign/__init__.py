"""Fault campaigns: thousands of RTL-exact upsets through the native engine."""
