"""The languages, in the order in which they are asked.

Evidence decides; the order decides only between languages that both show an app. Go stands first: nobody keeps a
package main beside a web app for tooling. Python stands before Node.js: package.json is found in everything that has
a front end. A Dockerfile is what to fall back on, and stands last.
"""

from typing import Final

from langs import dockerfile, golang, nodejs, python
from langs.base import Language

LANGUAGES: Final[tuple[Language, ...]] = (golang, python, nodejs, dockerfile)
