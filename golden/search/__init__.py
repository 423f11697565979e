"""Finding the bounds of every scheme: profiling, searching, learning."""
