"""Where a row goes, given what is known of it: its group, its label, both or neither."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairsteer.core.affine import AffineMap, MeanDisplacement, extended
from fairsteer.core.families import Family
from fairsteer.core.gaussians import SubgroupGaussians
from fairsteer.core.groups import UNKNOWN
from fairsteer.core.linalg import Array
from fairsteer.core.posterior import LabelLaws, group_posterior

LABEL_STRATEGIES = ("posterior", "map", "sample", "none")
"""What stands for an unknown label; ``"none"`` is one map per group."""

Motion = Callable[..., Array]


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

    def motion(self, group: int, labelled: bool = False) -> Motion | None:
        """Return what moves rows of one group, prepared once for any number of rows.

        Parameters
        ----------
        group : int
            Its position, -1 if unknown.
        labelled : bool, default=False
            Whether the labels of the rows will be told.

        Returns
        -------
        callable or None
            From rows (n, d), their draws (n, d + 1) and positions of labels (n,) to how far they
            move (n, d). None for a group that stays where it is.
        """
        if group == UNKNOWN:
            return self._mean_motion(labelled)
        by_label = labelled or (self.label_strategy != "none" and self.law.n_labels > 1)
        maps = self.maps[:, group] if by_label else self.group_maps[[group]]
        if maps.is_identity:
            return None
        laws = LabelLaws(self.law, group) if by_label and not labelled else None
        origin = self.law.means[:, group].mean(axis=0) if laws is None else laws.origin
        displacement = MeanDisplacement(maps, origin)

        def move(X: Array, draws: Array, labels: NDArray[np.intp] | None = None) -> Array:
            rows = extended(self.family.scores(X, group, draws[:, :-1]), origin)
            if laws is not None:
                weights = laws.weights(rows, self.label_strategy, draws[:, -1])
            elif labels is not None and self.law.n_labels > 1:
                weights = np.eye(self.law.n_labels)[labels]
            else:
                weights = np.ones((len(X), 1))
            step = displacement(rows, weights)
            step = self.family.carry(X, group, draws[:, :-1], step)
            if self.strength != 1.0:
                step *= self.strength
            return step

        return move

    def arrive(self, X: Array, draws: Array, step: Array | None, output: str) -> Array:
        """Return where rows end: features, unchanged ones exactly, or the common scale.

        The step is used up.
        """
        if step is None and output != "scores":
            return X
        common = self.family.common(X, draws[:, :-1])
        if step is None:
            return common
        if common is X:
            step += X
            return step
        moved = common + step
        if output == "scores":
            return moved
        # Rounding on the way back may miss a feature that does not move.
        return np.where(step == 0.0, X, self.family.inverse(moved))

    def _mean_motion(self, labelled: bool) -> Motion:
        """Return the mean of the motions of every group, weighted by p(group | x).

        Where labels are told, and the population has laws given them, by p(group | x, label).
        """
        population = self.population
        assert population is not None
        motions = [self.motion(group, labelled) for group in range(population.n_groups)]

        def move(X: Array, draws: Array, labels: NDArray[np.intp] | None = None) -> Array:
            common = self.family.common(X, draws[:, :-1])
            known = labels if population.n_labels > 1 else None
            weights = group_posterior(population, common, known)
            moved = np.zeros_like(X)
            for group, motion in enumerate(motions):
                if motion is not None:
                    moved += weights[:, [group]] * motion(X, draws, labels)
            return moved

        return move
