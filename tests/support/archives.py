"""Archives of what is packed here."""

from __future__ import annotations

import tarfile
from pathlib import Path


def extract(archive: tarfile.TarFile, directory: Path) -> None:
    """Extract all, with a filter where Python has them: 3.11 has them from 3.11.4 on."""
    archive.extraction_filter = getattr(tarfile, "data_filter", None)
    archive.extractall(directory)
