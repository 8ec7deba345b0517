"""Steer towards a concept so that equal steps have equal effects in all groups."""

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
from fairsteer.core.moments import subgroup_moments
from fairsteer.core.posterior import group_posterior
from fairsteer.estimators._persistence import FittedVersionMixin
from fairsteer.exceptions import SteeringWarning

PROBES = ("shared", "own", "both", "every")
MEANS = ("groups", "rows")
FAR = 2.0
"""Divergence in nats above which ``fit`` warns: that of means two standard deviations away."""


class ConceptSteering(FittedVersionMixin, BaseEstimator):
    """Directions of a concept along which a step has the same effect in every group.

    In a group a concept lies along the difference of the means of its states with and without it,
    ``v_a = mu_1a - mu_0a``. A step along this direction changes what a probe reads by ``r'v_a``,
    more in one group than in another. ``fit`` finds the directions ``u_a``
    nearest to these, in Kullback-Leibler divergence, along which a probe changes alike in all
    groups and as much as before on average.

    Parameters
    ----------
    probe : {"shared", "own", "both", "every"} or array-like of shape (d,) or (k, d), \
default="shared"
        What is to change alike. ``"shared"``: one linear discriminant of the concept for all
        groups. ``"own"``: in each group its own discriminant, so the log odds of the concept
        given the group. ``"both"``: these two together. ``"every"``: every linear probe that
        groups share, which leaves one direction for all groups. An array: the slopes of one or
        several probes of yours, such as a classifier's ``coef_`` or the difference of two
        tokens' unembedding vectors.
    mean_over : {"groups", "rows"}, default="groups"
        Whether each group or each row counts alike in the mean effect, which is kept.
    borrow : bool, default=True
        Whether groups borrow from each other before their directions are changed, the more the
        less certain these are: as far as they may differ by chance, directions become one, and
        covariances that of all groups (as ``small_cells="shrunk"`` does in
        :class:`OptimalSteeringTransformer`). What a direction owes to chance would spread the
        effects on probes of other states.
    pos_label : object, default=None
        The value of the concept that steps lead to; default ``classes_[-1]``.
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
        The value that steps lead to.
    distribution_ : SubgroupGaussians
        Fitted law, with what groups have borrowed.
    directions_ : ndarray of shape (G, d)
        The groups' own directions, ``v_a``: differences of means, nothing borrowed.
    direction_covariances_ : ndarray of shape (G, d, d)
        Covariance of the estimate of each, ``Sigma_0a / n_0a + Sigma_1a / n_1a``.
    probes_ : ndarray of shape (G, k, d)
        Slopes of the probes that change alike. For ``"every"`` the d coordinates.
    ideal_ : SubgroupGaussians
        The nearest law with equal effects; covariances are the fitted ones.
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
        In ``fit``, if the ideal directions lie far from the groups' own, so that steps along them
        lead where no states were.

    Notes
    -----
    The effect on a linear probe is that on its logit, and it is the same for each state of a
    group, whatever their law. It is the same in *all* groups exactly for ``probes_``, and for
    another probe (a classifier trained on other states) as far as it resembles them.

    Where the group of a state is unknown, the step is the mean of the groups' steps, weighted by
    ``p(group | state)``. The effect on probes that groups share is the same even then.

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
    >>> steering = ConceptSteering().fit(H, joy, groups)
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

    def fit(self, H, concept, groups, *, sample_weight=None):
        """Estimate the groups' directions and find the nearest with equal effects.

        Parameters
        ----------
        H : array-like of shape (n, d)
            States.
        concept : array-like of shape (n,)
            Whether each has the concept: two values.
        groups : array-like of shape (n,) or (n, m)
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
        X = np.asarray(check.check_numbers(check.check_table(H)), dtype=np.float64)
        labels = check.check_labels(concept, len(X))
        values = check.group_values(check.attribute_from_argument(groups, len(X)))
        weights = check.check_frequencies(sample_weight, len(X))
        present = weights > 0.0
        X, labels, values, weights = (part[present] for part in (X, labels, values, weights))
        classes, group_list = np.unique(labels), check.sorted_groups(values)
        check.check_variety(classes, group_list)
        positive = self._position_of_concept(classes)
        moments = subgroup_moments(
            X,
            check.label_codes(labels, classes),
            check.group_codes(values, group_list),
            (2, len(group_list)),
            weights,
        )
        estimation = {"covariance_type": self.covariance_type, "shrinkage": self.shrinkage}
        plain = gaussians_from_moments(classes, group_list, *moments, **estimation)
        law = plain
        if self.borrow:
            law = gaussians_from_moments(classes, group_list, *moments, **estimation, borrow=True)
        own = concept_directions(plain, positive)
        probes = self._slopes(plain, law, positive)
        shares = law.priors.sum(axis=0)
        kept = shares if self.mean_over == "rows" else np.full(len(shares), 1.0 / len(shares))
        effects = kept @ np.einsum("akj,aj->ak", probes, own)
        solution = equal_effect(law, probes, effects, positive)

        # Nothing is written before everything has succeeded: a failed fit changes nothing.
        self.n_features_in_ = X.shape[1]
        self.classes_, self.groups_, self.pos_label_ = classes, group_list, classes[positive]
        self.distribution_, self.ideal_ = law, solution.law
        self.directions_, self.probes_ = own, probes
        self.direction_covariances_ = direction_covariances(plain)
        self.ideal_directions_, self.ideal_effects_ = solution.directions, effects
        self.kl_divergence_ = solution.kl_divergence
        self._record_version()
        if self.kl_divergence_ > FAR:
            warnings.warn(
                f"Equal effects take directions that are {self.kl_divergence_:.2g} nats away from "
                f"the groups' own, so steps along them lead where no states were. "
                f"{self._what_is_nearer()}",
                SteeringWarning,
                stacklevel=2,
            )
        return self

    def vector(self, group, alpha=1.0):
        """Return the step that is added to a state of a group.

        Parameters
        ----------
        group : object
            One of ``groups_``.
        alpha : float, default=1.0
            Length: 1 is, averaged over groups, the way from states without the concept to those
            with it, as the probe reads it.

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

    def steer(self, H, alpha=1.0, groups=None):
        """Add to each state the step of its group.

        Parameters
        ----------
        H : array-like of shape (n, d)
            States.
        alpha : float, default=1.0
            As in :meth:`vector`.
        groups : array-like of shape (n,) or (n, m), default=None
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
        codes = self.group_positions(groups, len(X))
        shares = np.eye(len(self.groups_))[codes]
        unknown = codes == UNKNOWN
        if unknown.any():
            shares[unknown] = group_posterior(self.distribution_, X[unknown])
        return X + _finite(alpha) * (shares @ self.ideal_directions_)

    def group_positions(self, groups, n):
        """Return the position of each state's group in ``groups_``, -1 where it is unknown.

        Parameters
        ----------
        groups : array-like of shape (n,) or (n, m), or None
            As in :meth:`steer`.
        n : int
            States.

        Returns
        -------
        ndarray of shape (n,)
        """
        check_is_fitted(self)
        if groups is None:
            return np.full(n, UNKNOWN)
        columns, names = check.attribute_from_argument(groups, n)
        known = ~np.any([pd.isna(column) for column in columns], axis=0)
        codes = np.full(n, UNKNOWN)
        if known.any():
            rest = check.Attribute([column[known] for column in columns], names)
            place, distinct = pd.factorize(check.group_values(rest))
            codes[known] = np.array([self.distribution_.group_index(g) for g in distinct])[place]
        return codes

    def effects(self, probe=None):
        """Return what a step of length 1 changes in every group, before and after.

        Parameters
        ----------
        probe : array-like of shape (d,) or (G, d), default=None
            Slopes of a linear probe, or of one for each group; default the first of ``probes_``.

        Returns
        -------
        DataFrame of shape (G, 3)
            Indexed by group. ``before``: along the group's own direction; ``after``: along the
            ideal one; ``standard_error``: that of ``before``, the probe taken as given.

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
                f"probe has shape {slopes.shape}, but one of shape {shape[1:]}, or for each group "
                f"one {shape}, is needed."
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

    def _what_is_nearer(self):
        if isinstance(self.probe, str) and self.probe == "both":
            return "The two probes nearly agree: ask for one, probe='shared' or 'own'."
        return "Some group hardly has the concept: look at effects(), and leave that group out."

    def _position_of_concept(self, classes):
        if len(classes) != 2:
            raise ValueError(
                f"concept has {len(classes)} values ({classes.tolist()}), but a direction needs "
                "two, with the concept and without: fit one ConceptSteering a value, on "
                "concept == value."
            )
        if self.pos_label is None:
            return 1
        if self.pos_label not in classes.tolist():
            raise ValueError(
                f"pos_label={self.pos_label!r} is not among the concept's values "
                f"{classes.tolist()}."
            )
        return classes.tolist().index(self.pos_label)

    def _slopes(self, plain, law, positive):
        """Return the slopes of the probes of every group, shape (G, k, d)."""
        shape = (law.n_groups, law.n_features)
        if not isinstance(self.probe, str):
            given = np.atleast_2d(_slopes_given(self.probe))
            if given.ndim != 2 or given.shape[1] != law.n_features:
                raise ValueError(
                    f"probe has shape {np.shape(self.probe)}, but states have {law.n_features} "
                    f"dimensions: pass slopes of shape ({law.n_features},), or several as rows."
                )
            return np.broadcast_to(given, (law.n_groups, *given.shape))
        if self.probe == "every":
            return np.broadcast_to(np.eye(law.n_features), (law.n_groups, shape[1], shape[1]))
        slopes = []
        if self.probe in ("shared", "both"):
            slopes.append(np.broadcast_to(shared_probe(plain, positive), shape))
        if self.probe in ("own", "both"):
            slopes.append(own_probes(law, positive))
        return np.stack(slopes, axis=1)


def _finite(alpha):
    """Return the length of a step, unless it is no number or infinite."""
    if not isinstance(alpha, Real) or not np.isfinite(alpha):
        raise ValueError(f"alpha={alpha!r} is not a length of a step: pass a finite number.")
    return alpha


def _slopes_given(probe):
    """Return a user's probe as finite numbers."""
    try:
        slopes = np.asarray(probe, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"probe is no array of numbers ({error}): pass slopes.") from None
    if not np.isfinite(slopes).all():
        raise ValueError("probe has slopes that are NaN or infinite: pass finite ones.")
    return slopes
