"""Language models: opening them, finding their blocks and linear weights, fingerprints."""
