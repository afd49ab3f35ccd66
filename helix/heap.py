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
"""From this size on, what is allocated has pages of its own, which go back when it is freed."""

SPARE_BYTES: Final = 4 * 1024 * 1024
"""Of what is free at the heap's end so much is kept, to be used again."""

ARENAS: Final = 2
"""Heaps of all threads. Each keeps what it was at most, and threads have little to say here."""


def bound_heap(environment: Mapping[str, str] = os.environ) -> bool:
    """
    Have glibc give back what large documents took.

    By itself it moves its threshold up to the size of what was freed, to at most 32 MiB: from the
    first document of 15 MiB on, others of that size are put in the heap, between small objects that
    stay. Of a server that had one, half of the memory was such holes.

    :param environment: where ``MALLOC_...`` or ``GLIBC_TUNABLES`` say otherwise, that holds.
    :return: whether it was told so; ``False`` with another C library.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in environment):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wanted = {_MMAP_THRESHOLD: OWN_BYTES, _TRIM_THRESHOLD: SPARE_BYTES, _ARENA_MAX: ARENAS}
    return all(mallopt(parameter, value) for parameter, value in wanted.items())
