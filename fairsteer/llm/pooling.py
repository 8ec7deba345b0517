"""Which of a text's hidden states are looked at, and how they move."""

from __future__ import annotations

import torch


def widened(hidden):
    """Return states in the precision of the mathematics: float32, or float64 as they are."""
    return hidden.to(torch.promote_types(hidden.dtype, torch.float32))


def last_tokens(mask):
    """Return the index of each text's last token in states (texts, tokens, d)."""
    n_texts, n_tokens = mask.shape
    last = n_tokens - 1 - mask.flip(1).int().argmax(dim=1)
    return torch.arange(n_texts, device=mask.device), last


def token_mean(hidden, mask):
    """Return the mean over each text's tokens, shape (texts, d)."""
    weights = mask[..., None].to(hidden.dtype)
    # Padding may hold anything, NaN included.
    total = torch.where(mask[..., None], hidden, 0.0).sum(dim=1)
    return total / weights.sum(dim=1).clamp(min=1.0)


def _moved_last(hidden, mask, displacement):
    index = last_tokens(mask)
    before = widened(hidden[index])
    step = displacement(before[:, None])[:, 0]
    step = torch.where(mask.any(dim=1)[:, None], step, 0.0)
    return hidden.index_put(index, (before + step).to(hidden.dtype))


def _moved_mean(hidden, mask, displacement):
    wide = widened(hidden)
    step = displacement(token_mean(wide, mask)[:, None])
    return torch.where(mask[..., None], (wide + step).to(hidden.dtype), hidden)


def _moved_all(hidden, mask, displacement):
    wide = widened(hidden)
    return torch.where(mask[..., None], (wide + displacement(wide)).to(hidden.dtype), hidden)


POOLINGS = {"last": _moved_last, "mean": _moved_mean, "all": _moved_all}
"""How states move, by which of a text's states a steering was fitted to."""


def check_pooling(pooling):
    """Refuse a pooling that is not among `POOLINGS`."""
    if pooling not in POOLINGS:
        raise ValueError(f"pooling must be one of {list(POOLINGS)}, got {pooling!r}.")
