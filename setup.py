"""How the package is built; what it needs is in requirements.txt, pinned."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


OPTIONS = ("sql", "parquet", "cloud", "redis", "oidc", "deploy", "tracing")
"""What may be installed besides: each has a file of requirements."""


def requirements(name: str) -> list[str]:
    """The lines of a requirements file that name packages."""
    lines = (HERE / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-"))]


def version() -> str:
    """The one that the program tells."""
    text = (HERE / "crawler" / "__init__.py").read_text()
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    assert found is not None
    return found[1]


setup(
    name="distributed-crawler",
    version=version(),
    description="A distributed crawler whose control plane survives failures",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    python_requires=">=3.11",
    packages=find_packages(include=["crawler", "crawler.*"]),
    py_modules=["app"],
    package_data={
        "crawler": ["py.typed"],
        "crawler.dashboard": ["templates/*.html", "static/*"],
        "crawler.demo": ["*.yaml", "spiders/*.yaml"],
        "crawler.proto": ["*.proto", "*.pyi"],
    },
    install_requires=requirements("requirements.txt"),
    extras_require={
        "local": requirements("requirements-local.txt"),
        **{name: requirements(f"requirements-{name}.txt") for name in OPTIONS},
    },
    entry_points={"console_scripts": ["crawler = crawler.__main__:main"]},
)
