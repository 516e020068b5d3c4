"""The stored result of a run: folder, manifest and ``Profile``."""
