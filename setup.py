"""The package ``helix-flows``. Its metadata is here, the tools' settings in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup


def long_description() -> str:
    """Give the README as a package index can show it: it has neither our pictures nor our pages."""
    text = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    text = re.sub(r"<picture>.*?</picture>\n*|!\[[^]]*\]\([^)]*\)\n*", "", text, flags=re.DOTALL)
    text = re.sub(r"## More\n.*?\n(?=Apache)", "", text, flags=re.DOTALL)
    return re.sub(r"\[([^]]*)\]\((?!https?:)[^)]*\)", r"\1", text)


setup(
    name="helix-flows",
    version="0.1.0",
    description="A multiplayer server for node graphs",
    long_description=long_description(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=[*find_packages(include=["helix", "helix.*"]), "twisted.plugins"],
    package_data={
        "helix": [
            "data/*.json",
            "data/templates/*.json",
            "editor/*",
            "editor/assets/*",
            "pages/*",
            "store/schema/*/*.sql",
            "py.typed",
        ]
    },
    install_requires=[
        "attrs>=24.1",
        "autobahn>=25.10",
        "click>=8.1",
        "cryptography>=42",
        "hiredis>=3",
        "klein>=24.8",
        "msgspec>=0.19",
        "oauthlib>=3.2.2",
        "prometheus-client>=0.21",
        "psycopg2-binary>=2.9",
        "pyjwt[crypto]>=2.12",
        "treq>=24.9",
        "twisted[tls]>=24.11",
        "txpostgres>=1.7",
        "txredisapi>=1.6",
        "werkzeug>=3",
        "zope.interface>=7",
    ],
    entry_points={"console_scripts": ["helix = helix.cli.main:main"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Framework :: Twisted",
        "Intended Audience :: Developers",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Typing :: Typed",
    ],
    zip_safe=False,
    # The default mode puts a finder in between, behind which Twisted does not see plugins.
    options={"editable_wheel": {"mode": "compat"}},
)
