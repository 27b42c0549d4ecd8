"""Threads for work on pictures: Pillow and NumPy let go of Python's lock while they decode, scale and encode."""

import collections
import os

from tf_stylegan.errors import UserError


def num_cores():
    """Cores this process may use (fewer than there are in a container)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def num_threads(asked):
    """`--threads` -> number of threads; UserError below 1, None for all cores."""
    if asked is not None and asked < 1:
        raise UserError(f"--threads must be at least 1, got {asked}; leave it out for all cores")
    return asked or num_cores()


def ordered(pool, function, items, window=None):
    """`pool.map` that takes items as they are needed and holds few results, so that memory stays constant.

    Args:
        pool: a `concurrent.futures` executor.
        function: of one item.
        items: any iterable, read in the calling thread.
        window: how many items are at work or waiting; None for four for each core.
    """
    window = window or 4 * num_cores()
    pending = collections.deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= window:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
