"""Causal checks of a profile: what it claims is tested by intervention on the model and the texts themselves."""
