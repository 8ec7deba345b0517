"""Checks of the options of functions that take a distribution."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from fairsteer.core.gaussians import SubgroupGaussians
from fairsteer.core.messages import shorten


def check_distribution(gaussians: object) -> None:
    """Refuse anything but a distribution.

    Raises
    ------
    TypeError
        If it is no `SubgroupGaussians`.
    """
    if not isinstance(gaussians, SubgroupGaussians):
        raise TypeError(
            f"gaussians must be a SubgroupGaussians, got a {type(gaussians).__name__}: estimate "
            "one with estimate_gaussians."
        )


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Refuse a value that is not one of the choices.

    Raises
    ------
    ValueError
        With the choices.
    """
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {list(choices)}, got {shorten(value)}.")


def check_number(name: str, value: Any, low: float, *, integer: bool = False) -> None:
    """Refuse a value that is no number, or below a limit.

    Raises
    ------
    ValueError
        With the limit.
    """
    kind: type[Any] = Integral if integer else Real
    if not isinstance(value, kind) or isinstance(value, bool):
        text = "an integer" if integer else "a number"
        raise ValueError(f"{name} must be {text}, got {shorten(value)}.")
    if not value >= low:
        raise ValueError(f"{name} must be at least {low:g}, got {shorten(value)}.")


def make_generator(random_state: Any) -> np.random.Generator:
    """Return a generator of random numbers from what ``random_state`` may be.

    Parameters
    ----------
    random_state : int, RandomState, Generator or None
        A seed, a generator, or None for a seed of the operating system.

    Raises
    ------
    ValueError
        If it is something else.
    """
    if isinstance(random_state, np.random.RandomState):
        random_state = int(random_state.randint(2**31))
    elif not (random_state is None or isinstance(random_state, np.random.Generator)):
        check_number("random_state", random_state, 0, integer=True)
    return np.random.default_rng(random_state)
