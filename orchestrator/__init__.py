"""Turn every app of a monorepo into a production container image, in parallel, through BuildKit."""

__version__ = "0.1.0.dev0"
