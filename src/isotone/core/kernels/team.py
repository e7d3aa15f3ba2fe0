"""Compiled loops on the threads that torch already keeps.

Threads of our own would share the processor with torch's: after a parallel matrix product its workers wait some
milliseconds in a busy loop, longer than the rows of a batch take. So the loop is handed to the OpenMP team that torch
itself computes with (GNU's runtime, on Linux); where that is not to be had, threads of our own do the same. As with
torch's own operations, a process that was forked after the first of them must not compute: start it anew (spawn).
"""

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch


def run(kernel: Any, *arrays: np.ndarray, numbers: tuple[int, ...]) -> None:
    """Call a compiled kernel once on every thread, and return when all have returned.

    Args:
        kernel: numba cfunc `void(int64*)`. Its argument holds a counter that starts at 0, from which the threads draw
            pieces of work, then the `numbers`, then the address of each array.
        arrays: C-contiguous; they stay alive and in place while the kernel runs.
        numbers: of the caller's choice.
    """
    addresses = [x.ctypes.data for x in arrays]
    arguments = np.array([0, *numbers, *addresses], dtype=np.int64)
    threads, openmp = torch.get_num_threads(), _openmp()
    if threads == 1:
        kernel.ctypes(ctypes.cast(arguments.ctypes.data, ctypes.POINTER(ctypes.c_int64)))
    elif openmp is not None:
        openmp(kernel.address, arguments.ctypes.data, threads, 0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            pointer = ctypes.cast(arguments.ctypes.data, ctypes.POINTER(ctypes.c_int64))
            list(pool.map(kernel.ctypes, [pointer] * threads))


# ----------------------------------------------------------------------------------------------------------------------


@cache
def _openmp() -> Callable[[int, int, int, int], None] | None:
    """Return `GOMP_parallel(function, data, threads, flags)` of the runtime that torch has loaded, if there is one."""
    try:
        call = ctypes.CDLL(None).GOMP_parallel
    except (AttributeError, OSError, TypeError):
        return None
    call.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    call.restype = None
    return call
