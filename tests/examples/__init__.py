"""The apps of `examples/monorepo`: what they answer, and that they are as real as we say."""
