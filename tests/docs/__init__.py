"""The documents as tests: what they say to type is typed, what they show is compared, what they list is complete."""
