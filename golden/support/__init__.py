"""What long computations need: files written whole, progress, threads, memory."""
