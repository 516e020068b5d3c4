"""What pruning costs the embedded model."""
