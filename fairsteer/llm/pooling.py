"""Pooling of the hidden states of a text, and how pooled displacements move the states."""

from __future__ import annotations

import torch


def widen(hidden):
    """Return states in at least float32."""
    return hidden.to(torch.promote_types(hidden.dtype, torch.float32))


def last_tokens(mask):
    """Return the index of the last token of each text in states (texts, tokens, d)."""
    n_texts, n_tokens = mask.shape
    last = n_tokens - 1 - mask.flip(1).int().argmax(dim=1)
    return torch.arange(n_texts, device=mask.device), last


def token_mean(hidden, mask):
    """Return the mean over the tokens of each text, shape (texts, d)."""
    weights = mask[..., None].to(hidden.dtype)
    # States of padding may be NaN.
    total = torch.where(mask[..., None], hidden, 0.0).sum(dim=1)
    return total / weights.sum(dim=1).clamp(min=1.0)


def _move_last(hidden, mask, displacement):
    index = last_tokens(mask)
    before = widen(hidden[index])
    step = displacement(before[:, None])[:, 0]
    step = torch.where(mask.any(dim=1)[:, None], step, 0.0)
    return hidden.index_put(index, (before + step).to(hidden.dtype))


def _move_mean(hidden, mask, displacement):
    wide = widen(hidden)
    step = displacement(token_mean(wide, mask)[:, None])
    return torch.where(mask[..., None], (wide + step).to(hidden.dtype), hidden)


def _move_all(hidden, mask, displacement):
    wide = widen(hidden)
    return torch.where(mask[..., None], (wide + displacement(wide)).to(hidden.dtype), hidden)


POOLINGS = {"last": _move_last, "mean": _move_mean, "all": _move_all}
"""Functions that move states, by the pooling of the states that a steering was fitted to."""


def check_pooling(pooling):
    """Raise ValueError if a pooling is not in `POOLINGS`."""
    if pooling not in POOLINGS:
        raise ValueError(f"pooling must be one of {list(POOLINGS)}, got {pooling!r}.")
