"""Statistics of a stratified sample with images as clusters: estimates, intervals, allocation, power."""
