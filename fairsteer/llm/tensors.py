"""Conversion of fitted parts to tensors."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

import numpy as np
import torch


def to_tensors(part, device, dtype):
    """Return a dataclass, tuple, dict or array with its arrays converted to tensors."""
    if isinstance(part, np.ndarray):
        whole = np.issubdtype(part.dtype, np.integer)
        return torch.tensor(part.copy(), device=device, dtype=torch.long if whole else dtype)
    if isinstance(part, tuple):
        return tuple(to_tensors(each, device, dtype) for each in part)
    if isinstance(part, dict):
        return {key: to_tensors(each, device, dtype) for key, each in part.items()}
    if is_dataclass(part):
        own = {f.name: to_tensors(getattr(part, f.name), device, dtype) for f in fields(part)}
        return replace(part, **own)
    return part
