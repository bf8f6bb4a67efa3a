"""Every option of `fleetpacks build` on every kind of builder: what it comes to, as a table that a test makes.

`rows` lists the options that a builder has a part in, each with an observer that builds a tiny app with it and looks at
what came of it: a manifest, a configuration, an attestation, a cache in the registry, a file, what a step has seen. All
other options are in `ours`, with the reason why no builder can drop them; `named` finds all there are in the code, so
that a new one without a place fails. `test_options.py` runs the observers and compares with `seen.json`, which it
writes anew under `FLEETPACKS_FULL=1`; `python -m tests.e2e.options.table` writes the document.
"""
