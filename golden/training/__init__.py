"""Training of the networks, and what is made of a trained one."""
