"""Where a row goes, given what is known of it: its group, its label, both or neither."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairsteer._linalg import Array
from fairsteer.affine import AffineMap
from fairsteer.families import Family
from fairsteer.gaussian import SubgroupGaussians
from fairsteer.grouping import UNKNOWN
from fairsteer.posterior import group_posterior, label_weights, posterior_displacement

LABEL_STRATEGIES = ("posterior", "map", "sample", "none")
"""What stands for an unknown label; ``"none"`` is one map per group."""


@dataclass(frozen=True, eq=False)
class Mover:
    """Displacements of rows on the common scale of their family.

    ``draws`` (n, d + 1) in (0, 1) spread ties and, in the last column, draw labels.

    Parameters
    ----------
    family : Family
        Between features, scores and the common scale.
    law : SubgroupGaussians
        Law of the scores.
    maps : AffineMap of shape (K, G)
        Where every label of every group goes, in the scores.
    group_maps : AffineMap of shape (G,)
        Where every group goes without looking at labels.
    label_strategy : str
        One of `LABEL_STRATEGIES`.
    strength : float
        Share of each displacement.
    population : SubgroupGaussians or None
        Law on the common scale that tells groups apart; needed for unknown groups.
    """

    family: Family
    law: SubgroupGaussians
    maps: AffineMap
    group_maps: AffineMap
    label_strategy: str
    strength: float
    population: SubgroupGaussians | None

    def of_group(self, X: Array, draws: Array, group: int) -> Array:
        """Return how far rows (n, d) of one group, -1 if unknown, and unknown label move."""
        if group == UNKNOWN:
            return self._averaged(X, draws, lambda a: self.of_group(X, draws, a))
        scores = self.family.scores(X, group, draws[:, :-1])
        if self.label_strategy == "none" or self.law.n_labels == 1:
            step = self.group_maps[group].displacement(scores)
        else:
            weights = label_weights(self.law, scores, group, self.label_strategy, draws[:, -1])
            step = posterior_displacement(self.law, self.maps, scores, group, weights)
        return self._carried(X, draws, group, step)

    def of_labels(self, X: Array, draws: Array, group: int, labels: NDArray[np.intp]) -> Array:
        """Return how far rows (n, d) of one group, -1 if unknown, and known labels (n,) move."""
        if group == UNKNOWN:
            return self._averaged(X, draws, lambda a: self.of_labels(X, draws, a, labels), labels)
        scores = self.family.scores(X, group, draws[:, :-1])
        if self.law.n_labels == 1:
            labels = np.zeros_like(labels)
        weights = np.eye(self.law.n_labels)[labels]
        step = posterior_displacement(self.law, self.maps, scores, group, weights)
        return self._carried(X, draws, group, step)

    def arrive(self, X: Array, draws: Array, step: Array, output: str) -> Array:
        """Return where rows end: features, unchanged ones exactly, or the common scale."""
        moved = self.family.common(X, draws[:, :-1]) + step
        if output == "scores":
            return moved
        return np.where(step == 0.0, X, self.family.inverse(moved))

    def _averaged(
        self,
        X: Array,
        draws: Array,
        move: Callable[[int], Array],
        labels: NDArray[np.intp] | None = None,
    ) -> Array:
        """Return the mean of the moves of rows (n, d) in every group, weighted by p(group | x).

        Where labels (n,) are known, and the population has laws given them, by
        p(group | x, label).
        """
        assert self.population is not None
        common = self.family.common(X, draws[:, :-1])
        known = labels if self.population.n_labels > 1 else None
        weights = group_posterior(self.population, common, known)
        moved = np.zeros_like(X)
        for group in range(self.population.n_groups):
            moved += weights[:, [group]] * move(group)
        return moved

    def _carried(self, X: Array, draws: Array, group: int, step: Array) -> Array:
        return self.strength * self.family.carry(X, group, draws[:, :-1], step)
