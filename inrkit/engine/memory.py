"""Keeps the memory that a step frees, instead of giving it back to the system and asking for it again in the next."""

import ctypes
import functools
import os
import sys

# glibc's names for what is set, and the values: blocks of up to 32 MiB come from the heap, which is never trimmed.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_BLOCK, _NEVER = 1 << 25, (1 << 31) - 1


@functools.cache
def keep_freed_memory() -> bool:
    """Whether freed memory is kept from now on; only glibc can be told, and a user's own MALLOC_... settings win.

    By default every large activation is mapped anew in each step, and the system fills its pages with zeros: on a
    processor that costs a fifth of a small model's step.
    """
    if not sys.platform.startswith("linux") or any(
        name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ
    ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK)) and bool(mallopt(_TRIM_THRESHOLD, _NEVER))
