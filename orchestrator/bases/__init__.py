"""Recipes of toolchain images, as data, for sites that reach package registries but no image registry.

`recipes.toml` says what goes into an image and by which names it goes; `recipes` reads it; `dockerfile` turns a recipe
into a Dockerfile and into the key that changes exactly when the image has to be built anew. Nothing here builds.
"""
