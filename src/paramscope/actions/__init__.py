"""What is done with what a run says: roles, plans, pruning, tuning, sharing."""
