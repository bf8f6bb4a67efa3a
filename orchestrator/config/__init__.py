"""What people said: the repository's file, the operator's file, the environment and flags, merged by precedence.

Lowest first: defaults, the root's file, the app's file, the operator's file, the environment, flags. The repository
and the operator have no key in common: what is in the repository can never change where an image goes.
"""

from orchestrator.config.merge import hosts_again, load, parse_environment
from orchestrator.config.settings import Config, EachSettings, Flags, Host, Image

__all__ = ["Config", "EachSettings", "Flags", "Host", "Image", "hosts_again", "load", "parse_environment"]
