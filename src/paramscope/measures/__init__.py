"""Numbers that follow from a stored profile: numpy only, neither model nor torch is needed."""
