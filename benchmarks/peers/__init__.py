"""paramscope against other ways to the same numbers, side by side: see ``__main__``."""
