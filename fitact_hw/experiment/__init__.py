"""What `fitact sim`, `replay` and `bench` do: the place where golden, compiler and simulator meet."""
