"""The steps of a layer, on tensors: the same mathematics as :mod:`fairsteer.core.moves`."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

import numpy as np
import torch


def on_device(part, device, dtype):
    """Return a dataclass with its arrays as tensors."""
    if isinstance(part, np.ndarray):
        whole = np.issubdtype(part.dtype, np.integer)
        return torch.tensor(part.copy(), device=device, dtype=torch.long if whole else dtype)
    if isinstance(part, tuple):
        return tuple(on_device(each, device, dtype) for each in part)
    if is_dataclass(part):
        own = {f.name: on_device(getattr(part, f.name), device, dtype) for f in fields(part)}
        return replace(part, **own)
    return part


def displacement(steps, X, code):
    """Return how far states (n, d) of one group, -1 if unknown, move."""
    if code >= 0:
        return _group_displacement(steps.groups[code], X)
    scores = [torch.logsumexp(_scores(own, X - steps.centre), dim=1) for own in steps.densities]
    weights = torch.softmax(torch.stack(scores, dim=1), dim=1)
    moves = [_group_displacement(group, X) for group in steps.groups]
    return sum(weights[:, [a]] * move for a, move in enumerate(moves))


def _group_displacement(group, X):
    shifts = X - group.centre
    if group.labels is None:
        weights = torch.ones_like(X[:, :1])
    else:
        scores = _scores(group.labels, shifts)
        weights = torch.softmax(scores, dim=1)
        if group.largest:
            chosen = scores.argmax(dim=1)
            weights = torch.nn.functional.one_hot(chosen, scores.shape[1]).to(X.dtype)
    step = weights @ group.offsets
    if group.matrices is None:
        return step
    if len(group.matrices) == 1:
        return step + shifts @ group.matrices[0].T
    for i, matrix in enumerate(group.matrices):
        step = step + weights[:, [i]] * (shifts @ matrix.T)
    return step


def _scores(labels, shifts):
    """Return log densities (n, K) at states (n, d), as far as they are needed."""
    if labels.whitening is None:
        return shifts @ labels.means.T + labels.constants
    scores = []
    for i, mean in enumerate(labels.means):
        if i < len(labels.whitening):
            white = shifts @ labels.whitening[i].T
        scores.append(-0.5 * (white - mean).square().sum(dim=1))
    return torch.stack(scores, dim=1) + labels.constants
