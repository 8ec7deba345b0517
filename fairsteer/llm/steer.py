"""Contexts in which a model's hidden states are steered."""

from __future__ import annotations

import math
from contextlib import contextmanager

from fairsteer.llm.hooks import hooked
from fairsteer.llm.steps import concept_steps, layer_steps


@contextmanager
def steer_hidden_states(model, steerings, *, sensitive_features=None, pooling="last"):
    """Steer hidden states while a model runs, ``generate`` included.

    Each layer's states move as ``transform`` of its steering would move them, computed on the
    model's device in float32 (float64 where states are) and cast back. Leaving the
    context, by an exception too, takes the hooks away; nothing of the model itself is changed.

    Parameters
    ----------
    model : torch.nn.Module
        As in :func:`collect_hidden_states`.
    steerings : dict of int to OptimalSteeringTransformer, WithinLabelEraser or AffineMap
        For each layer, what was fitted to its states.
    sensitive_features : array-like of shape (n,) or (n, m), default=None
        Group of each text of the batch, as ``sensitive_features=`` of ``transform``: for a
        transformer fitted with ``group_strategy="posterior"`` it may be missing, and is then
        inferred from the state. An eraser or a map needs none.
    pooling : {"last", "mean", "all"}, default="last"
        What moves, the same as the states were collected with: the last token of each text
        (in generation, that of the prompt and each generated one), all tokens by the
        displacement of their mean, or each token by its own. With a cache of keys and values a
        pass after the first holds the new token only, which then is its own mean.

    Yields
    ------
    torch.nn.Module
        The model.

    Raises
    ------
    ValueError
        If a steering cannot be hooked, its dimensions are not the states', or `groups` do not fit
        the batch; the message says what to do.
    TypeError
        If something is no steering, or the model has no list of blocks that can be found.
    """
    steps = {layer: layer_steps(steering) for layer, steering in dict(steerings).items()}
    with hooked(model, steps, sensitive_features, pooling):
        yield model


@contextmanager
def steer_concept(model, steerings, alpha, *, sensitive_features=None, pooling="last"):
    """Move hidden states along a concept while a model runs, ``generate`` included.

    Adds :meth:`fairsteer.ConceptSteering.vector` of each text's group; see
    :func:`steer_hidden_states` for precision and for what leaving the context does.

    Parameters
    ----------
    model : torch.nn.Module
        As in :func:`collect_hidden_states`.
    steerings : dict of int to ConceptSteering
        For each layer, what was fitted to its states.
    alpha : float
        Length of the step; negative leads away from the concept.
    sensitive_features : array-like of shape (n,) or (n, m), default=None
        Group of each text of the batch, missing (None or NaN) where it is to be inferred from
        the state. Default: all are inferred.
    pooling : {"last", "mean", "all"}, default="last"
        What moves, as in :func:`steer_hidden_states`.

    Yields
    ------
    torch.nn.Module
        The model.

    Raises
    ------
    ValueError
        If alpha is not finite, dimensions differ, or `groups` do not fit the batch.
    TypeError
        If something is no ConceptSteering, or the model has no list of blocks that can be found.
    """
    if not math.isfinite(alpha):
        raise ValueError(f"alpha={alpha!r} must be a finite number.")
    steps = {layer: concept_steps(steering, alpha) for layer, steering in dict(steerings).items()}
    with hooked(model, steps, sensitive_features, pooling):
        yield model
