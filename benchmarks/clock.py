"""How long a fit takes, told alike for quick and for slow ones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

SHORT = 1.0
RUNS = 3


@contextmanager
def patient(seconds: float) -> Iterator[None]:
    """Repeat work until so many seconds are used; 0: do it once."""
    global SHORT
    before, SHORT = SHORT, seconds
    try:
        yield
    finally:
        SHORT = before


def timed(work, *args, **kwargs):
    """Call a function; return what it returns and the seconds of processor time it took.

    The first call pays for what later ones find ready, such as memory and lazy imports, which is
    much of a fit of some milliseconds. So there are up to `RUNS` calls, as long as those before
    took less than `SHORT` seconds together, and the least counts.

    Parameters
    ----------
    work : callable
        Returns the same however often it is called.
    *args, **kwargs
        What it is called with.

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
