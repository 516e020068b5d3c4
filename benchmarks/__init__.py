"""Measurements that are no tests: they take minutes, and their figures depend on the machine."""
