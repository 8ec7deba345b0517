"""Fits are timed by their quickest of a few calls, fewer where they are slow."""

import clock
import pytest

pytestmark = pytest.mark.slow


def test_quick_work_is_timed_by_its_quickest_call(monkeypatch):
    ticks = iter([0.0, 0.2, 1.0, 1.1, 2.0, 2.15])
    monkeypatch.setattr(clock.time, "process_time", lambda: next(ticks))
    calls = []
    result, seconds = clock.timed(lambda *a, **k: calls.append((a, k)) or len(calls), 1, b=2)
    assert (result, round(seconds, 9)) == (3, 0.1)
    assert calls == [((1,), {"b": 2})] * 3


@pytest.mark.parametrize("taken", [[1.0], [0.6, 0.5]])
def test_slow_work_is_done_once_or_twice(monkeypatch, taken):
    ticks = iter([tick for seconds in taken for tick in (0.0, seconds)])
    monkeypatch.setattr(clock.time, "process_time", lambda: next(ticks))
    calls = []
    assert clock.timed(calls.append, 1) == (None, min(taken))
    assert calls == [1] * len(taken)
