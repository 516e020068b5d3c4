"""Several runs side by side on one page: what differs, by how much, and how sure that is."""
