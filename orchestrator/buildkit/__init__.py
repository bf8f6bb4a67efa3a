"""BuildKit's own gRPC API over any anyio byte stream: no `docker`, `buildctl` or `buildx` program is needed."""
