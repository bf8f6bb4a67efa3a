"""Recipes of toolchain images, as data, for sites that reach package registries but no image registry.

`recipes.toml` says what goes into an image and by which names it goes; `recipes` reads it; `dockerfile` turns a recipe
into a Dockerfile and into the key that changes exactly when the image has to be built anew. `root` makes the bare root
by debootstrap, `sources` and `fetching` get packages, `archives` packs their files, `contents` says what an image has.
Nothing here builds: that is `orchestrator.app.bases`, or the lab.
"""
