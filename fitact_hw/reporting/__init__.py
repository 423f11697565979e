"""What all studies share to show their results: progress, statistics, colours."""
