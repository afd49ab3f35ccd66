"""What is free goes back to the machine."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from helix.heap import bound_heap

MEBIBYTE = 2**20

IN_PAGES_OF_ITS_OWN = """
import ctypes
from helix.heap import bound_heap

class Info(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Info
bound_heap()
freed = bytes(20 * 2**20)  # moves glibc's own threshold beyond the next
del freed
before = mallinfo().hblkhd
small = bytes(2**19)
print(mallinfo().hblkhd - before)
large = bytes(10 * 2**20)
print(mallinfo().hblkhd - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="only glibc tells it")
def test_ops20_large_objects_have_pages_of_their_own() -> None:
    told = subprocess.run(
        [sys.executable, "-c", IN_PAGES_OF_ITS_OWN], capture_output=True, check=True, timeout=60
    )
    small, large = map(int, told.stdout.split())
    assert small == 0
    assert large >= 10 * MEBIBYTE


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"])
def test_ops20_what_the_environment_says_holds(name: str) -> None:
    assert not bound_heap({name: "1"})
