"""Steer toward a concept so that equal steps have equal effects in all groups."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import ClassVar

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from fairsteer import _validation as check
from fairsteer.core.concept import (
    concept_directions,
    direction_covariances,
    equal_effect,
    own_probes,
    shared_probe,
)
from fairsteer.core.gaussians import COVARIANCE_TYPES, gaussians_from_moments
from fairsteer.core.groups import UNKNOWN
from fairsteer.core.moments import refuse_overflow, subgroup_moments
from fairsteer.core.posterior import group_posterior, population_densities
from fairsteer.estimators._base import FittedVersionMixin
from fairsteer.exceptions import SteeringWarning

PROBES = ("shared", "own", "both", "every")
MEANS = ("groups", "rows")
FAR = 2.0
"""Divergence in nats above which ``fit`` warns: that of means two standard deviations away."""


class ConceptSteering(FittedVersionMixin, BaseEstimator):
    """Directions of a concept along which a step has the same effect in every group.

    The direction of a concept in a group is the difference of the means of its states with and
    without the concept, ``v_a = mu_1a - mu_0a``. A step along it changes the output of a linear
    probe by ``r'v_a``, more in one group than in another. ``fit`` finds the directions ``u_a``
    nearest to these, in Kullback-Leibler divergence, along which the probe changes equally in all
    groups and as much as before on average.

    Parameters
    ----------
    probe : {"shared", "own", "both", "every"} or array-like of shape (d,) or (k, d), \
default="shared"
        Probes that are to change equally. ``"shared"``: one linear discriminant of the concept
        for all groups. ``"own"``: in each group its own discriminant, so the log odds of the
        concept given the group. ``"both"``: these two together. ``"every"``: every linear probe
        shared by the groups, which leaves one direction for all groups. An array: the slopes of
        one or several probes, such as a classifier's ``coef_`` or the difference of two tokens'
        unembedding vectors.
    mean_over : {"groups", "rows"}, default="groups"
        Whether groups or rows have equal weights in the mean effect, which is kept.
    borrow : bool, default=True
        Whether groups borrow from each other before their directions are changed: uncertain
        directions are shrunk toward a common one, and covariances toward that of all groups (as
        ``small_groups="shrunk"`` does in :class:`OptimalSteeringTransformer`). Chance differences
        between directions would spread the effects on probes of other states.
    pos_label : object, default=None
        The value of the concept that steps move toward; default ``classes_[-1]``.
    covariance_type : {"tied", "full", "diag"}, default="tied"
        See :func:`fairsteer.estimate_gaussians`; ``"tied"`` shares a group's covariance between
        states with and without the concept.
    shrinkage : float in [0, 1] or "auto", default="auto"
        See :func:`fairsteer.estimate_gaussians`. States often have as many dimensions as there
        are texts, hence ``"auto"``.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        Values of the concept.
    groups_ : ndarray of shape (G,)
        Groups.
    pos_label_ : object
        The value that steps move toward.
    distribution_ : SubgroupGaussians
        Fitted distribution, after borrowing.
    directions_ : ndarray of shape (G, d)
        The groups' own directions, ``v_a``: differences of means, before borrowing.
    direction_covariances_ : ndarray of shape (G, d, d)
        Covariance of the estimate of each, ``Sigma_0a / n_0a + Sigma_1a / n_1a``.
    probes_ : ndarray of shape (G, k, d)
        Slopes of the probes that change equally. For ``"every"`` the d coordinates.
    ideal_ : SubgroupGaussians
        The nearest distribution with equal effects; it has the fitted covariances.
    ideal_directions_ : ndarray of shape (G, d)
        Its directions, ``u_a``.
    ideal_effects_ : ndarray of shape (k,)
        Change of each probe by a step of length 1, in any group.
    kl_divergence_ : float
        ``KL(ideal_ || distribution_)`` in nats.
    n_features_in_ : int
        Dimensions of the states, d.

    Warns
    -----
    SteeringWarning
        In ``fit``, if the ideal directions are far from the groups' own, so that steps along them
        leave the region of the training states.

    Notes
    -----
    The effect on a linear probe is the change of its logit, and it is the same for every state of
    a group, whatever their distribution. It is the same in *all* groups exactly for ``probes_``,
    and approximately for another probe (a classifier trained on other states) that resembles them.

    Where the group of a state is unknown, the step is the mean of the groups' steps, weighted by
    ``p(group | state)``. The effect on probes shared by the groups is the same even then.

    References
    ----------
    Sharma, Deshpande, Bhattacharyya and Shah (2025), "On Optimal Steering to Achieve Exact
    Fairness", NeurIPS, arXiv 2509.15759, for the purpose. The conditions on probes and the closed
    form are ours: :func:`fairsteer.core.concept.equal_effect`.

    Examples
    --------
    >>> import numpy as np
    >>> from fairsteer import ConceptSteering
    >>> rng = np.random.default_rng(0)
    >>> groups = np.repeat(["a", "b"], 200)
    >>> joy = np.tile([0, 1], 200)
    >>> H = rng.normal(size=(400, 4))
    >>> H[:, 0] += joy * np.where(groups == "a", 3, 1)
    >>> steering = ConceptSteering().fit(H, joy, sensitive_features=groups)
    >>> steering.effects().round(1).values.tolist()
    [[3.9, 2.6, 0.2], [1.2, 2.6, 0.2]]
    >>> steering.vector("a", alpha=2).shape
    (4,)
    """

    _parameter_constraints: ClassVar[dict] = {
        "probe": [StrOptions(set(PROBES)), "array-like"],
        "mean_over": [StrOptions(set(MEANS))],
        "borrow": ["boolean"],
        "pos_label": "no_validation",
        "covariance_type": [StrOptions(set(COVARIANCE_TYPES))],
        "shrinkage": [Interval(Real, 0, 1, closed="both"), StrOptions({"auto"})],
    }

    def __init__(
        self,
        *,
        probe="shared",
        mean_over="groups",
        borrow=True,
        pos_label=None,
        covariance_type="tied",
        shrinkage="auto",
    ):
        self.probe = probe
        self.mean_over = mean_over
        self.borrow = borrow
        self.pos_label = pos_label
        self.covariance_type = covariance_type
        self.shrinkage = shrinkage

    def fit(self, H, concept, *, sensitive_features, sample_weight=None):
        """Estimate the groups' directions and find the nearest with equal effects.

        Parameters
        ----------
        H : array-like of shape (n, d)
            States.
        concept : array-like of shape (n,)
            Whether each has the concept: two values.
        sensitive_features : array-like of shape (n,) or (n, m)
            Their groups; every group needs states with and without the concept.
        sample_weight : array-like of shape (n,), default=None
            Frequencies: weight 2 is the row twice, weight 0 is no row.

        Returns
        -------
        ConceptSteering
            Itself.

        Raises
        ------
        ValueError
            If a parameter or the input cannot be used; the message says what to do.
        TypeError
            If H is sparse.
        """
        self._validate_params()
        features, names = check.split_features(check.check_table(H), [])
        X = np.asarray(features, dtype=np.float64)
        labels = check.check_labels(concept, len(X))
        attribute = check.attribute_from_argument(sensitive_features, len(X))
        values = check.group_values(attribute)
        weights = check.check_frequencies(sample_weight, len(X))
        present = weights > 0.0
        X, labels, values, weights = (part[present] for part in (X, labels, values, weights))
        classes, groups = np.unique(labels), check.storable_groups(check.sorted_groups(values))
        check.check_variety(classes, groups)
        positive = self._position_of_concept(classes)
        moments = subgroup_moments(
            X,
            check.label_codes(labels, classes),
            check.group_codes(values, groups),
            (2, len(groups)),
            weights,
        )
        refuse_overflow(*moments, names)
        estimation = {"covariance_type": self.covariance_type, "shrinkage": self.shrinkage}
        plain = fitted = gaussians_from_moments(classes, groups, *moments, **estimation)
        if self.borrow:
            fitted = gaussians_from_moments(classes, groups, *moments, **estimation, borrow=True)
        own = concept_directions(plain, positive)
        probes = self._slopes(plain, fitted, positive)
        shares = fitted.priors.sum(axis=0)
        kept = shares if self.mean_over == "rows" else np.full(len(shares), 1.0 / len(shares))
        effects = kept @ np.einsum("akj,aj->ak", probes, own)
        solution = equal_effect(fitted, probes, effects, positive)

        # Nothing is written before everything has succeeded: a failed fit changes nothing.
        self.n_features_in_ = X.shape[1]
        self.classes_, self.groups_, self.pos_label_ = classes, groups, classes[positive]
        self.sensitive_names_ = check.attribute_names(attribute)
        self.distribution_, self.ideal_ = fitted, solution.distribution
        self.directions_, self.probes_ = own, probes
        self.direction_covariances_ = direction_covariances(plain)
        self.ideal_directions_, self.ideal_effects_ = solution.directions, effects
        self.kl_divergence_ = solution.kl_divergence
        self._record_version()
        if self.kl_divergence_ > FAR:
            warnings.warn(
                f"Equal effects need directions {self.kl_divergence_:.2g} nats away from the "
                "groups' own, so steps along them leave the region of the training states. "
                f"{self._remedy()}",
                SteeringWarning,
                stacklevel=2,
            )
        return self

    def vector(self, group, alpha=1.0):
        """Return the step added to a state of a group.

        Parameters
        ----------
        group : object
            One of ``groups_``.
        alpha : float, default=1.0
            Length: 1 is, averaged over groups, the distance from states without the concept to
            those with it, as measured by the probe.

        Returns
        -------
        ndarray of shape (d,)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If there is no such group, or alpha is not finite.
        """
        check_is_fitted(self)
        return _finite(alpha) * self.ideal_directions_[self.distribution_.group_index(group)]

    def transform(self, H, *, alpha=1.0, sensitive_features=None):
        """Add to each state the step of its group.

        Parameters
        ----------
        H : array-like of shape (n, d)
            States.
        alpha : float, default=1.0
            As in :meth:`vector`.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            Their groups, missing (None or NaN) where unknown. Default: all are unknown. A state
            of unknown group moves by the mean of the groups' steps, weighted by the fitted
            ``p(group | state)``.

        Returns
        -------
        ndarray of shape (n, d)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If the input cannot be used, alpha is not finite, or there is no such group.
        """
        check_is_fitted(self)
        X = np.asarray(check.check_numbers(check.check_table(H)), dtype=np.float64)
        if X.shape[1] != self.n_features_in_:
            raise ValueError(
                f"H has {X.shape[1]} dimensions, but ConceptSteering was fitted on states of "
                f"{self.n_features_in_}: pass states of the same layer of the same model."
            )
        codes = self.group_positions(sensitive_features, len(X))
        shares = np.eye(len(self.groups_))[codes]
        unknown = codes == UNKNOWN
        if unknown.any():
            population = population_densities(self.distribution_)
            shares[unknown] = group_posterior(population, X[unknown]).T
        return X + _finite(alpha) * (shares @ self.ideal_directions_)

    def group_positions(self, sensitive_features, n):
        """Return the position of each state's group in ``groups_``, -1 where it is unknown.

        Parameters
        ----------
        sensitive_features : array-like of shape (n,) or (n, m), or None
            As in :meth:`transform`.
        n : int
            States.

        Returns
        -------
        ndarray of shape (n,)
        """
        check_is_fitted(self)
        if sensitive_features is None:
            return np.full(n, UNKNOWN)
        attribute = check.attribute_from_argument(sensitive_features, n)
        attribute = check.match_attribute(attribute, self.sensitive_names_)
        return check.known_group_codes(attribute, self.groups_)

    def effects(self, probe=None):
        """Return the effect of a step of length 1 in every group, before and after.

        Parameters
        ----------
        probe : array-like of shape (d,) or (G, d), default=None
            Slopes of a linear probe, or of one for each group; default the first of ``probes_``.

        Returns
        -------
        DataFrame of shape (G, 3)
            Indexed by group. ``before``: along the group's own direction; ``after``: along the
            ideal direction; ``standard_error``: of ``before``, for a fixed probe.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If the probe has another shape, or values that are not finite.
        """
        check_is_fitted(self)
        slopes = self.probes_[:, 0] if probe is None else _slopes_given(probe)
        shape = self.directions_.shape
        if slopes.shape not in (shape, shape[1:]):
            raise ValueError(
                f"probe has shape {slopes.shape}: pass one of shape {shape[1:]}, or one per group, "
                f"of shape {shape}."
            )
        slopes = np.broadcast_to(slopes, shape)
        variances = np.einsum("aj,ajk,ak->a", slopes, self.direction_covariances_, slopes)
        columns = {
            "before": np.einsum("aj,aj->a", slopes, self.directions_),
            "after": np.einsum("aj,aj->a", slopes, self.ideal_directions_),
            "standard_error": np.sqrt(variances),
        }
        index = pd.Index(self.groups_, tupleize_cols=False, name="group")
        return pd.DataFrame(columns, index=index)

    def _remedy(self):
        if isinstance(self.probe, str) and self.probe == "both":
            return "The two probes are almost equal: use one of them, probe='shared' or 'own'."
        return "The concept is weak in some group: see effects(), and leave that group out."

    def _position_of_concept(self, classes):
        if len(classes) != 2:
            raise ValueError(
                f"concept has {len(classes)} values ({check.abbreviate(classes)}), but "
                "a direction needs two, with and without the concept: fit one ConceptSteering for "
                "each value, on concept == value."
            )
        if self.pos_label is None:
            return 1
        if self.pos_label not in classes.tolist():
            raise ValueError(
                f"pos_label={self.pos_label!r} is not among the concept's values "
                f"{check.abbreviate(classes)}."
            )
        return classes.tolist().index(self.pos_label)

    def _slopes(self, plain, fitted, positive):
        """Return the slopes of the probes of every group, shape (G, k, d)."""
        shape = (fitted.n_groups, fitted.n_features)
        if not isinstance(self.probe, str):
            given = np.atleast_2d(_slopes_given(self.probe))
            if given.ndim != 2 or given.shape[1] != fitted.n_features:
                raise ValueError(
                    f"probe has shape {np.shape(self.probe)}, but states have {fitted.n_features} "
                    f"dimensions: pass slopes of shape ({fitted.n_features},), or several as rows."
                )
            return np.broadcast_to(given, (fitted.n_groups, *given.shape))
        if self.probe == "every":
            return np.broadcast_to(np.eye(fitted.n_features), (fitted.n_groups, shape[1], shape[1]))
        slopes = []
        if self.probe in ("shared", "both"):
            slopes.append(np.broadcast_to(shared_probe(plain, positive), shape))
        if self.probe in ("own", "both"):
            slopes.append(own_probes(fitted, positive))
        return np.stack(slopes, axis=1)


def _finite(alpha):
    """Return the length of a step, unless it is no number or infinite."""
    if not isinstance(alpha, Real) or not np.isfinite(alpha):
        raise ValueError(f"alpha={alpha!r} is the length of a step: pass a finite number.")
    return alpha


def _slopes_given(probe):
    """Return a user's probe as finite numbers."""
    try:
        slopes = np.asarray(probe, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"probe must be an array of slopes, but is not ({error}).") from None
    if not np.isfinite(slopes).all():
        raise ValueError("probe has slopes that are NaN or infinite: pass finite numbers.")
    return slopes
