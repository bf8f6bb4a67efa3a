"""Not building what is there already: the digest of everything an image is made of, and its record in the registry.

`contents` hashes files, incrementally; `bases` asks for the digests of base images; `inputs` makes one digest of all of
it; `skipper` looks for the tag of that name, and puts what it finds under the app's tags.
"""
