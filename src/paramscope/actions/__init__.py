"""Acting on a model by what a profile says of it: pruning."""
