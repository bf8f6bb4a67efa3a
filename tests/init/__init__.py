"""CI and cluster files: what is put into them, what the platforms' own checkers say, and what their steps do."""
