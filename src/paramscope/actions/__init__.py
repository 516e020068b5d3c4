"""What is done with what a run says: roles, proposals, pruning, tuning, sharing."""
