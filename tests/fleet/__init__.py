"""What several clones have in common: their fleet."""
