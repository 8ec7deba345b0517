"""The tables of the comparison with peers, by name and sensitive attribute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd

from fairsteer.compare import Table, load_table
from fairsteer.datasets import make_gaussian_subgroups

SIMULATED_ROWS = 2_000


@dataclass(frozen=True)
class Source:
    """A table by name; ``load`` gives its rows."""

    dataset: str
    sensitive: str
    load: Callable[[], Table]
    simulated: bool = False

    @property
    def name(self) -> str:
        """Data set and attribute."""
        return f"{self.dataset} {self.sensitive}"

    @property
    def columns(self) -> dict[str, str]:
        """The same, as in the csv files."""
        return {"dataset": self.dataset, "sensitive": self.sensitive}


def simulated(n: int, n_groups: int, n_features: int, seed: int) -> Table:
    """Draw a table from one Gaussian for each of two labels and every group."""
    sample = make_gaussian_subgroups(n, n_groups=n_groups, n_features=n_features, random_state=seed)
    return Table(
        name="gaussian",
        data=sample.data.drop(columns="group"),
        target=sample.target.astype(int).rename("target"),
        groups=sample.sensitive_features.astype(str),
        attributes=sample.sensitive_features.to_frame(),
        favorable="1",
        conventions=sample.conventions,
    )


def gaussian(n: int = SIMULATED_ROWS) -> Table:
    """Three groups, four features, Gaussian given label and group."""
    return simulated(n, n_groups=3, n_features=4, seed=4)


def lognormal(n: int = SIMULATED_ROWS) -> Table:
    """Two groups, four positive features whose logarithms are Gaussian given label and group."""
    table = simulated(n, n_groups=2, n_features=4, seed=2)
    return replace(table, name="lognormal", data=np.exp(table.data))


SOURCES = {
    source.name: source
    for source in (
        *(
            Source(name, sensitive, lambda n=name, s=sensitive: load_table(n, sensitive=s))
            for name, sensitive in (
                ("compas", "race"),
                ("compas", "sex"),
                ("adult", "sex"),
                ("adult", "race"),
                ("diabetes", "sex"),
            )
        ),
        Source("gaussian", "group", gaussian, simulated=True),
        Source("lognormal", "group", lognormal, simulated=True),
    )
}


@cache
def load(name: str) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return features, 0/1 labels and groups of a table, read once a process."""
    table = SOURCES[name].load()
    return (
        table.data.reset_index(drop=True),
        table.target.to_numpy(),
        table.groups.to_numpy(dtype=object),
    )
