"""Processor time of a fit, measured alike for quick and slow fits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

SHORT = 1.0
RUNS = 3


@contextmanager
def patient(seconds: float) -> Iterator[None]:
    """Repeat work until this many seconds are used; 0: call it once."""
    global SHORT
    before, SHORT = SHORT, seconds
    try:
        yield
    finally:
        SHORT = before


def timed(work, *args, **kwargs):
    """Call a function; return its result and the seconds of processor time it took.

    The first call includes costs that later calls do not have, for instance lazy imports, which
    dominate a fit of some milliseconds. So there are up to `RUNS` calls, as long as the calls
    before took less than `SHORT` seconds together, and the shortest counts.

    Parameters
    ----------
    work : callable
        Returns the same result in every call.
    *args, **kwargs
        Its arguments.

    Returns
    -------
    result : object
        Of the last call.
    seconds : float
    """
    taken = []
    while not taken or (len(taken) < RUNS and sum(taken) < SHORT):
        start = time.process_time()
        result = work(*args, **kwargs)
        taken.append(time.process_time() - start)
    return result, min(taken)
