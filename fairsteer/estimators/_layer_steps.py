"""What a fitted steering does to one state of a model's layer, as plain arrays.

An array library of any device can apply these; :mod:`fairsteer.llm` does so in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fairsteer import _validation as check
from fairsteer.core.affine import AffineMap
from fairsteer.core.families import Normal
from fairsteer.core.gaussians import SubgroupGaussians
from fairsteer.core.groups import UNKNOWN
from fairsteer.core.linalg import Array
from fairsteer.estimators._concept import ConceptSteering
from fairsteer.estimators._eraser import WithinLabelEraser
from fairsteer.estimators._transformer import OptimalSteeringTransformer

_SAME = 1e-12


@dataclass(frozen=True, eq=False)
class LogDensities:
    """Weighted log densities of labels in one group, ``log(q_i N(x; mu_i, Sigma_i))``.

    Parameters
    ----------
    whitening : ndarray of shape (1, d, d) or (K, d, d) or None
        ``L_i^{-1}``, ``Sigma_i = L_i L_i'``, one where labels share it. None where only
        differences between labels are wanted and these are linear in x.
    means : ndarray of shape (K, d)
        ``L_i^{-1} (mu_i - centre)``; without whitening, the slopes
        ``Sigma^{-1} (mu_i - centre)``.
    constants : ndarray of shape (K,)
        What does not depend on x.
    """

    whitening: Array | None
    means: Array
    constants: Array


@dataclass(frozen=True, eq=False)
class GroupStep:
    """Displacement of a state of one group, ``sum_i p_i(x) (M_i (x - centre) + o_i)``.

    Parameters
    ----------
    centre : ndarray of shape (d,)
        Where displacements are taken from, so that an offset of the states costs no digits.
    matrices : ndarray of shape (1, d, d) or (K, d, d) or None
        ``M_i``, one where labels share it, None where it is zero.
    offsets : ndarray of shape (K, d)
        ``o_i``.
    labels : LogDensities or None
        What weighs the labels; None where there is one.
    largest : bool
        Whether the most probable label gets all the weight.
    """

    centre: Array
    matrices: Array | None
    offsets: Array
    labels: LogDensities | None = None
    largest: bool = False


@dataclass(frozen=True, eq=False)
class LayerSteps:
    """Displacements of the states of one layer.

    Parameters
    ----------
    n_features : int
        Dimensions of a state.
    steered : ndarray of shape (d,)
        Which of them move.
    groups : tuple of GroupStep
        One for each group's law.
    centre : ndarray of shape (d,)
        What states of unknown group are taken from in ``densities``.
    densities : tuple of LogDensities or None
        Of each group, to weigh the groups of a state whose own is unknown.
    codes : callable
        From ``groups=`` and a number of texts to the positions of their laws, -1 for unknown.
    """

    n_features: int
    steered: Any
    groups: tuple[GroupStep, ...]
    centre: Array
    densities: tuple[LogDensities, ...] | None
    codes: Callable[[Any, int], Any]


def layer_steps(steering: Any) -> LayerSteps:
    """Return the steps of a fitted steering.

    Parameters
    ----------
    steering : OptimalSteeringTransformer, WithinLabelEraser or AffineMap
        Fitted to states of the layer. Parameters set since then do not count, ``max_drift`` apart.

    Returns
    -------
    LayerSteps

    Raises
    ------
    TypeError
        If it is something else.
    ValueError
        If it moves a row in a way that depends on other rows or on draws.
    NotFittedError
        If it is not fitted.
    """
    if isinstance(steering, AffineMap):
        if steering.shape:
            raise ValueError(
                f"An AffineMap of shape {steering.shape} is an array of maps: pass one of them, "
                "maps[k], or the transformer they belong to, which knows whose they are."
            )
        return _one_map(steering, np.arange(steering.offset.shape[-1]), len(steering.offset))
    if isinstance(steering, WithinLabelEraser):
        check_is_fitted(steering)
        return _one_map(steering.map_, steering.steered_features_, _n_out(steering))
    if isinstance(steering, OptimalSteeringTransformer):
        check_is_fitted(steering)
        _refuse(steering)
        return _steps_of_transformer(steering)
    if isinstance(steering, ConceptSteering):
        raise TypeError(
            "A ConceptSteering moves states by a length alpha: pass it to steer_concept."
        )
    raise TypeError(
        f"{type(steering).__name__} cannot steer hidden states: pass a fitted "
        "OptimalSteeringTransformer or WithinLabelEraser, or an AffineMap."
    )


def concept_steps(steering: ConceptSteering, alpha: float) -> LayerSteps:
    """Return the steps of length alpha of a fitted ConceptSteering.

    Parameters
    ----------
    steering : ConceptSteering
        Fitted to states of the layer.
    alpha : float
        See :meth:`fairsteer.ConceptSteering.vector`.

    Raises
    ------
    TypeError
        If it is something else.
    NotFittedError
        If it is not fitted.
    """
    if not isinstance(steering, ConceptSteering):
        raise TypeError(
            f"{type(steering).__name__} has no length to move states by: pass a fitted "
            "ConceptSteering, or use steer_hidden_states."
        )
    check_is_fitted(steering)
    d = steering.n_features_in_
    vectors = alpha * steering.ideal_directions_
    groups = tuple(GroupStep(np.zeros(d), None, vector[None]) for vector in vectors)
    centre, densities = _group_densities(steering.distribution_)
    return LayerSteps(d, np.arange(d), groups, centre, densities, steering.group_positions)


def _refuse(steering):
    if not isinstance(steering._mover.family, Normal):
        raise ValueError(
            f"family={type(steering._mover.family).__name__.lower()!r} cannot run inside a model, "
            "where states are moved as they are: fit with family='normal'."
        )
    if steering._mover.label_strategy == "sample" and steering.distribution_.n_labels > 1:
        raise ValueError(
            "label_strategy='sample' draws a label for each row of a table, and a model has no "
            "such rows: fit with label_strategy='posterior' or 'map'."
        )
    if steering.max_drift is not None:
        raise ValueError(
            "max_drift judges a batch of rows, which a forward pass is not: "
            "set_params(max_drift=None), and watch drift on collected states."
        )


def _steps_of_transformer(steering) -> LayerSteps:
    law = steering.distribution_
    # What the fit was made with, whatever the parameters are now, as in ``transform``.
    population, centre, densities = steering._mover.population, None, None
    if population is not None:
        centre, densities = _group_densities(population)
    return LayerSteps(
        n_features=_n_out(steering),
        steered=steering.steered_features_,
        groups=tuple(_group_step(steering, a) for a in range(law.n_groups)),
        centre=np.zeros(law.n_features) if centre is None else centre,
        densities=densities,
        codes=lambda groups, n: _codes(steering, groups, n),
    )


def _group_step(steering, group: int) -> GroupStep:
    law, mover = steering.distribution_, steering._mover
    strength = mover.strength
    centre = law.priors[:, group] @ law.means[:, group] / law.priors[:, group].sum()
    if law.n_labels == 1 or mover.label_strategy == "none":
        return _step(centre, steering.group_maps_[[group]], strength)
    return _step(
        centre,
        steering.maps_[:, group],
        strength,
        labels=_log_densities(law, group, centre, differences=True),
        largest=mover.label_strategy == "map",
    )


def _step(centre, maps, strength, **weighing) -> GroupStep:
    """Return the step of an array of maps (K,) taken from a point."""
    each = [maps[k] for k in range(maps.shape[0])]
    first = maps.matrix[0]
    tolerance = _SAME * np.abs(first).max()
    if all(np.abs(one.matrix - first).max() <= tolerance for one in each):
        # Copies for every label would fill the memory where states are long.
        matrices = strength * (maps.matrix[:1] - np.eye(len(centre)))
    else:
        matrices = strength * (maps.matrix - np.eye(len(centre)))
    offsets = strength * np.concatenate([one.displacement(centre[None]) for one in each])
    return GroupStep(centre, matrices if matrices.any() else None, offsets, **weighing)


def _one_map(affine: AffineMap, steered, n_features: int) -> LayerSteps:
    centre = np.zeros(affine.offset.shape[-1])
    step = _step(centre, affine[None], 1.0)
    return LayerSteps(
        n_features, steered, (step,), centre, None, lambda groups, n: np.zeros(n, np.intp)
    )


def _group_densities(law: SubgroupGaussians):
    """Return a centre and the log densities of every group around it."""
    centre = np.einsum("ia,iaj->j", law.priors, law.means)
    groups = range(law.n_groups)
    return centre, tuple(_log_densities(law, a, centre) for a in groups)


def _log_densities(law, group, centre, differences=False) -> LogDensities:
    covariances = law.covariances[:, group]
    if np.all(covariances == covariances[:1]):
        covariances = covariances[:1]
    factors = np.linalg.cholesky(covariances)
    shifts = (law.means[:, group] - centre)[..., None]
    diagonals = np.diagonal(factors, axis1=-2, axis2=-1)
    constants = np.log(law.priors[:, group]) - np.log(diagonals).sum(axis=-1)
    if differences and len(covariances) == 1:
        slopes = np.linalg.solve(covariances, shifts)[..., 0]
        squares = np.einsum("ij,ij->i", slopes, shifts[..., 0])
        return LogDensities(None, slopes, constants - 0.5 * squares)
    whitening = np.linalg.inv(factors)
    return LogDensities(whitening, (whitening @ shifts)[..., 0], constants)


def _n_out(steering) -> int:
    return len(steering.get_feature_names_out())


def _codes(steering, groups, n):
    """Return the position of each text's law, as ``transform`` finds it."""
    may_miss = steering._allowed["allow_missing"]
    unseen = steering._allowed["allow_unseen"]
    if groups is None:
        if not may_miss:
            raise ValueError(
                "groups= is missing: pass the group of each text, or fit with "
                "group_strategy='posterior', which infers it from the state."
            )
        return np.full(n, UNKNOWN)
    attribute = check.attribute_from_argument(groups, n)
    if may_miss:
        codes = check.known_group_codes(attribute, steering.groups_, allow_unseen=unseen)
    else:
        values = check.group_values(attribute)
        codes = check.group_codes(values, steering.groups_, allow_unseen=unseen)
    return steering._law_of_group[codes]
