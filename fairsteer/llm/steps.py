"""How a fitted steering moves the hidden states of one layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fairsteer import _validation as check
from fairsteer.core.affine import AffineMap, MeanDisplacement
from fairsteer.core.groups import UNKNOWN
from fairsteer.core.linalg import Array
from fairsteer.core.marginals import Normal
from fairsteer.core.posterior import GroupMotion, PopulationMotion, population_densities
from fairsteer.estimators import ConceptSteering, OptimalSteeringTransformer, WithinLabelEraser

# Draws stay inside (0, 1) in single precision.
_LEAST = 2.0**-24


@dataclass(frozen=True, eq=False)
class ConstantMotion:
    """The same displacement for every state.

    Parameters
    ----------
    vector : ndarray of shape (d,)
        The displacement.
    """

    vector: Array

    def __call__(self, X: Any, draws: Any = None, labels: Any = None, xp: Any = np) -> Any:
        """Return the displacements (n, d) of states (n, d)."""
        return xp.zeros_like(X) + self.vector


@dataclass(frozen=True, eq=False)
class LayerSteps:
    """Displacements of the hidden states of a layer.

    Parameters
    ----------
    n_features : int
        Dimensions of a state.
    steered : ndarray
        Positions of the dimensions that are moved.
    motions : dict of int to callable or None
        For each position of a group (-1 for unknown), a function from states (n, d) and the array
        namespace ``xp`` to displacements (n, d); None for a group whose states are not moved.
    codes : callable
        Function from ``sensitive_features`` and the number of texts to the positions of the groups.
    draws : callable or None
        Function from identifiers of texts to their draws in (0, 1), where displacements need them.
    """

    n_features: int
    steered: Any
    motions: dict[int, Any]
    codes: Callable[[Any, int], Any]
    draws: Callable[[Any], Array] | None = None


def layer_steps(steering: Any) -> LayerSteps:
    """Return the displacements of a fitted steering.

    Parameters
    ----------
    steering : OptimalSteeringTransformer, WithinLabelEraser or AffineMap
        Fitted to states of the layer. Parameters changed after the fit have no effect, except
        ``max_drift``.

    Returns
    -------
    LayerSteps

    Raises
    ------
    TypeError
        If `steering` is of another class.
    ValueError
        If the displacement of a row depends on other rows, or a label would be drawn.
    NotFittedError
        If `steering` is not fitted.
    """
    if isinstance(steering, AffineMap):
        if steering.shape:
            raise ValueError(
                f"An AffineMap of shape {steering.shape} is an array of maps: pass a single map, "
                "maps[k], or the fitted transformer, which chooses the map of each group."
            )
        return _single_map(steering, np.arange(steering.offset.shape[-1]), len(steering.offset))
    if isinstance(steering, WithinLabelEraser):
        check_is_fitted(steering)
        n_features = len(steering.get_feature_names_out())
        return _single_map(steering.map_, steering.steered_features_, n_features)
    if isinstance(steering, OptimalSteeringTransformer):
        check_is_fitted(steering)
        _check_motions(steering.steering_.options, steering.max_drift)
        return _transformer_steps(steering)
    if isinstance(steering, ConceptSteering):
        raise TypeError(
            "A ConceptSteering moves states by a step length alpha: pass it to steer_concept."
        )
    raise TypeError(
        f"{type(steering).__name__} cannot steer hidden states: pass a fitted "
        "OptimalSteeringTransformer or WithinLabelEraser, or an AffineMap."
    )


def concept_steps(steering: ConceptSteering, alpha: float) -> LayerSteps:
    """Return the displacements of length alpha of a fitted ConceptSteering.

    Parameters
    ----------
    steering : ConceptSteering
        Fitted to states of the layer.
    alpha : float
        Step length, see :meth:`fairsteer.ConceptSteering.vector`.

    Returns
    -------
    LayerSteps

    Raises
    ------
    TypeError
        If `steering` is of another class.
    NotFittedError
        If `steering` is not fitted.
    """
    if not isinstance(steering, ConceptSteering):
        raise TypeError(
            f"{type(steering).__name__} has no step length alpha: pass a fitted ConceptSteering, "
            "or use steer_hidden_states."
        )
    check_is_fitted(steering)
    d = steering.n_features_in_
    motions = tuple(ConstantMotion(alpha * vector) for vector in steering.ideal_directions_)
    population = population_densities(steering.distribution_)
    by_group = {
        UNKNOWN: PopulationMotion(Normal(), population, motions),
        **dict(enumerate(motions)),
    }
    return LayerSteps(d, np.arange(d), by_group, steering.group_positions)


def _check_motions(options, max_drift):
    """Raise ValueError if displacements depend on other rows or on drawn labels."""
    if options.family != "normal":
        raise ValueError(
            f"family={options.family!r} cannot steer hidden states, which are not transformed "
            "inside a model: fit with family='normal'."
        )
    by_label = options.constraint == "equalized_odds"
    if options.label_strategy == "sample" and by_label:
        raise ValueError(
            "label_strategy='sample' draws a label for each row, which is not available inside a "
            "model: fit with label_strategy='posterior' or 'map'."
        )
    if max_drift is not None:
        raise ValueError(
            "max_drift compares a table with the training rows, which is not available inside a "
            "model: use set_params(max_drift=None), and check drift on collected states."
        )


def _transformer_steps(steering) -> LayerSteps:
    fitted = steering.steering_
    codes = list(range(fitted.distribution.n_groups))
    if fitted.population is not None:
        codes.append(UNKNOWN)
    return LayerSteps(
        n_features=len(steering.get_feature_names_out()),
        steered=fitted.varying,
        motions={code: fitted.motion(code) for code in codes},
        codes=lambda groups, n: _find_codes(steering, groups, n),
        draws=(lambda ids: _draw(fitted, ids)) if fitted.channel is not None else None,
    )


def _draw(fitted, row_ids):
    """Return the draws of texts, as ``transform`` does of rows with these identifiers."""
    if row_ids is None:
        raise ValueError(
            "label_strategy='channel' draws noise for each text: pass row_ids, an identifier for "
            "each text of the batch."
        )
    row_ids = np.asarray(row_ids)
    draws = fitted.draw(None, None, check.row_words(row_ids, len(row_ids)))
    return np.clip(draws[:], _LEAST, 1.0 - _LEAST)


def _single_map(affine: AffineMap, steered, n_features: int) -> LayerSteps:
    displacement = MeanDisplacement.of_maps(affine[None], np.zeros(affine.offset.shape[-1]))
    motion = GroupMotion(Normal(), 0, displacement, None, "none", 1.0)
    return LayerSteps(n_features, steered, {0: motion}, lambda groups, n: np.zeros(n, np.intp))


def _find_codes(steering, groups, n):
    """Return the position of each text's fitted group, as ``transform`` does."""
    options = steering.steering_.options
    if groups is None and not options.infer_groups:
        raise ValueError(
            "sensitive_features is missing: pass the group of each text, or fit with "
            "group_strategy='posterior', which infers it from the state."
        )
    attribute = None if groups is None else check.attribute_from_argument(groups, n)
    if attribute is not None:
        attribute = check.match_attribute(attribute, steering.sensitive_names_)
    codes = check.attribute_codes(
        attribute,
        steering.groups_,
        n,
        allow_missing=options.infer_groups,
        allow_unseen=options.pool_unseen,
    )
    return steering.steering_.grouping.fitted_codes(codes)
