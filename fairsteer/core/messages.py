"""How error messages write values, however many and however long they are."""

from __future__ import annotations

from typing import Any

import numpy as np


def shorten(value: object, limit: int = 40) -> str:
    """Write a value for a message, cut after `limit` characters."""
    text = " ".join(repr(value.item() if isinstance(value, np.generic) else value).split())
    return text if len(text) <= limit else f"{text[:limit]}..."


def abbreviate(values: Any, limit: int = 6) -> str:
    """Write the first values as a list for a message, with dots for the others."""
    values = values.tolist() if hasattr(values, "tolist") else list(values)
    dots = ", ..." if len(values) > limit else ""
    return f"[{', '.join(map(shorten, values[:limit]))}{dots}]"


def subgroup_name(label: object, group: object) -> str:
    """Return how messages name the subgroup of a label and a group."""
    return f"label={shorten(label)}, group={shorten(group)}"
