"""Which part of a model to train for a domain, and whether that is better than controls of equal size."""
