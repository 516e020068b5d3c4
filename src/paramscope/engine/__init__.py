"""The engine: all samples at one block at a time, exact, nothing as large as the model kept per sample."""
