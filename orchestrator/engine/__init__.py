"""The run: structured concurrency around builds, publication and failure."""
