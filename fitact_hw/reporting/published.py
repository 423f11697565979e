"""Where published results lie: pages and charts in a folder, the tables that they are of in a folder below."""

DATA = "data"
"""Folder of the tables beside the pages."""
