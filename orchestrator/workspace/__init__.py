"""The files of a monorepo, and the apps among them."""
