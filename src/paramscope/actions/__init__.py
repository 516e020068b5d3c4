"""What to do about a profile: proposals, each with its cost, and the trials that they are held to."""
