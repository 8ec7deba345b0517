"""Context managers that steer the hidden states of a model."""

from __future__ import annotations

import math
from contextlib import contextmanager

from fairsteer.llm.hooks import hooked
from fairsteer.llm.steps import concept_steps, layer_steps


@contextmanager
def steer_hidden_states(model, steerings, *, sensitive_features=None, pooling="last", row_ids=None):
    """Steer hidden states while a model runs, ``generate`` included.

    The states of each layer are moved as by ``transform`` of its steering, computed on the device
    of the model in float32 (or float64 if the states are) and cast back. The hooks are removed at
    the end of the context, also after an exception; the model is not modified.

    Parameters
    ----------
    model : torch.nn.Module
        As in :func:`collect_hidden_states`.
    steerings : dict of int to OptimalSteeringTransformer, WithinLabelEraser or AffineMap
        For each layer, a steering fitted to its states.
    sensitive_features : array-like of shape (n,) or (n, m), default=None
        Group of each text of the batch, as in ``transform``. It may be missing for a transformer
        fitted with ``group_strategy="posterior"``, which infers it from the state. An eraser or a
        map does not need it.
    pooling : {"last", "mean", "all"}, default="last"
        Which states are moved, the same as in :func:`collect_hidden_states`: the last token of each
        text (in generation, the last token of the prompt and each generated token), all tokens by
        the displacement of their mean, or each token by its own displacement. With a cache of keys
        and values, a pass after the first contains only the new token, which is then the mean.
    row_ids : array-like of shape (n,), default=None
        Identifier of each text of the batch, required by ``label_strategy="channel"``: all states
        of a text get the same noise, which depends on its identifier, as in ``transform``.

    Yields
    ------
    torch.nn.Module
        The model.

    Raises
    ------
    ValueError
        If a steering cannot run inside a model, its dimensions differ from the states', or
        `sensitive_features` or `row_ids` do not match the batch.
    TypeError
        If a value of `steerings` is not a steering, or the list of blocks is not found.
    """
    steps = {layer: layer_steps(steering) for layer, steering in dict(steerings).items()}
    with hooked(model, steps, sensitive_features, pooling, row_ids):
        yield model


@contextmanager
def steer_concept(model, steerings, alpha, *, sensitive_features=None, pooling="last"):
    """Move hidden states along a concept while a model runs, ``generate`` included.

    Adds :meth:`fairsteer.ConceptSteering.vector` of the group of each text. Precision and the end
    of the context are as in :func:`steer_hidden_states`.

    Parameters
    ----------
    model : torch.nn.Module
        As in :func:`collect_hidden_states`.
    steerings : dict of int to ConceptSteering
        For each layer, a steering fitted to its states.
    alpha : float
        Step length; a negative length moves away from the concept.
    sensitive_features : array-like of shape (n,) or (n, m), default=None
        Group of each text of the batch. Missing groups (None or NaN) are inferred from the state;
        by default all groups are.
    pooling : {"last", "mean", "all"}, default="last"
        Which states are moved, as in :func:`steer_hidden_states`.

    Yields
    ------
    torch.nn.Module
        The model.

    Raises
    ------
    ValueError
        If alpha is not finite, dimensions differ, or `sensitive_features` does not match the batch.
    TypeError
        If a value of `steerings` is not a ConceptSteering, or the list of blocks is not found.
    """
    if not math.isfinite(alpha):
        raise ValueError(f"alpha={alpha!r} must be a finite number.")
    steps = {layer: concept_steps(steering, alpha) for layer, steering in dict(steerings).items()}
    with hooked(model, steps, sensitive_features, pooling):
        yield model
