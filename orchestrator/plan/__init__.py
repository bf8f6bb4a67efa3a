"""Names, tags, Dockerfiles, order: what will be built, decided before anything is."""
