"""Which layers to tune: every rule of the package, and some that are not in it, on the embedded model."""
