"""The study of bit errors in parameter memory: accuracy against bit error rate, and granularity of bounds."""
