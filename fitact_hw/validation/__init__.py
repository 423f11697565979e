"""The three proofs that results are exact: tensors, memory image, engine."""
