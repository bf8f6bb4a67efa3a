from pathlib import Path

from setuptools import find_packages, setup

REQUIRED = [
    "aiohttp>=3.11,<4",
    "humanize>=4,<5",
]

setup(
    name="units",
    version="1.0.0",
    description=Path("README.rst").read_text(encoding="utf-8").splitlines()[0],
    packages=find_packages(),
    python_requires=">=3.11",
    install_requires=REQUIRED,
    entry_points={"console_scripts": ["serve = units.server:main"]},
)
