"""Returns free memory of this process to the machine."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
"""Parameters of glibc's ``mallopt`` (malloc.h)."""

OWN_BYTES: Final = 1024 * 1024
"""Allocations from this size on get their own pages, which are returned when they are freed."""

SPARE_BYTES: Final = 4 * 1024 * 1024
"""Free bytes at the heap's end that are kept for reuse."""

ARENAS: Final = 2
"""Heaps for all threads. Each keeps its largest size, and threads do little work here."""


def bound_heap(environment: Mapping[str, str] = os.environ) -> bool:
    """
    Let glibc return the memory of large documents.

    By default glibc raises its threshold to the size of freed blocks, up to 32 MiB. After a first
    document of 15 MiB, others of that size are put in the heap, between small objects that stay.
    In a server that had one, half of the memory was such holes.

    :param environment: its ``MALLOC_...`` or ``GLIBC_TUNABLES`` take precedence.
    :return: whether it was set; ``False`` with another C library.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in environment):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wanted = {_MMAP_THRESHOLD: OWN_BYTES, _TRIM_THRESHOLD: SPARE_BYTES, _ARENA_MAX: ARENAS}
    return all(mallopt(parameter, value) for parameter, value in wanted.items())
