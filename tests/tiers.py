"""The two tiers of tests: what every change is held against, and all there is."""

from orchestrator.config import environment

FULL = environment.read().get("FLEETPACKS_FULL") == "1"
"""Whether tests that take long for what they find are wanted, too."""
