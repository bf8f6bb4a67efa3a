"""BuildKit's messages: field numbers are facts, names and comments are ours.

Each `.proto` names the file and version its numbers were read from. A field stands here because we use it, or because
a Go client or a daemon sends it (a tapped conversation decodes without an unknown field, see `tests/buildkit`).
`poe protos` compiles them; the generated modules are committed, and a test compiles again and compares.
"""
