"""Setting the least needed weights to zero: how many in each layer, which, and the pass that does it."""
