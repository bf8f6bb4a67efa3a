"""Our generated Dockerfiles beside those of peers for the same apps: `python -m benchmarks.images --migetpacks DIR`.

All are built by `buildctl`, which is nobody's, on one daemon that does nothing else, over the same base images, and
pushed. In each round all sides get the same change, one after the other, and who goes first alternates. What comes of
it counts only where both images have answered. Processor time is the daemon's with all that its steps ran: it says the
same on a machine that others use, too.

The lab's registry stands for all others, and package indexes are the real ones: after an uncounted build all sides have
what they keep of those in cache mounts, which are switched on for the peers, too (migetpacks: `$BUILD_CACHE_DIR`,
nixpacks: `--cache-key`). A peer whose own base image is not to be had says in its module what stands for that
(`benchmarks.images.nixpacks`).
"""
