"""A bound on a fairness gap that holds with a stated confidence, without any model of the data."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from html import escape

import pandas as pd

GAPS = {
    "equalized_odds": "equalized-odds gap",
    "equal_opportunity": "equal-opportunity gap",
    "demographic_parity": "demographic-parity gap",
}


@dataclass(frozen=True, eq=False)
class FairnessCertificate:
    """A finite-sample bound on a fairness gap.

    It assumes that the certification rows are an independent sample of the rows that the model will
    see, that none of them had a part in fitting or choosing the model, and that rows are drawn for
    alike in deployment (by their values, or by ``row_ids``). No distribution is assumed.

    Parameters
    ----------
    bound : float
        In [0, 1]. With the stated confidence the gap of what ``scope`` names is at most this.
    measured : float
        The same gap on the certification rows: of the worst classifier or threshold, or of the
        model. NaN where no two groups have rows to compare.
    confidence_level : float
        The probability, over samples of certification rows, that ``bound`` holds.
    scope : {"any_classifier", "any_threshold", "model"}
        Whose gap is bounded: every classifier of the finite output, randomized or adversarial, now
        or later; every threshold of the score; or the decisions of the model alone.
    constraint : {"equalized_odds", "equal_opportunity", "demographic_parity"}
        The gap.
    n_rows : dict
        Certification rows that were compared, by group.
    attacked : float or None
        The gap of the strongest attack: chosen on half of the certification rows, measured on the
        other half. None for decisions, or if no attack was asked for.
    attack_error : float or None
        With the stated confidence the attack's true gap is at least ``attacked - attack_error``.
    table : DataFrame
        A row per label and pair of groups, with ``measured`` and ``bound``; these bounds hold all
        at once and are therefore larger.
    """

    bound: float
    measured: float
    confidence_level: float
    scope: str
    constraint: str
    n_rows: dict
    attacked: float | None
    attack_error: float | None
    table: pd.DataFrame

    def __getstate__(self):
        """Return the fields, with the table and the rows as lists, which skops can store."""
        stored = {"table": self.table.to_dict(orient="list"), "n_rows": [*self.n_rows.items()]}
        return {**self.__dict__, **stored}

    def __setstate__(self, state):
        built = {"table": pd.DataFrame(state["table"]), "n_rows": dict(state["n_rows"])}
        self.__dict__.update({**state, **built})

    def summary(self) -> str:
        """Return the certificate as a sentence.

        Returns
        -------
        str
        """
        gap, n = GAPS[self.constraint], sum(self.n_rows.values())
        sure = f"With {100 * self.confidence_level:.4g}% confidence"
        rows = f"on rows like these {n:,}"
        if self.scope == "model":
            return (
                f"{sure}, the {gap} of this model is at most {self.bound:.3f} {rows}; here it is "
                f"{self.measured:.3f}."
            )
        subject = "classifier of this output" if self.scope == "any_classifier" else "threshold"
        text = (
            f"{sure}, no {subject} has a larger {gap} than {self.bound:.3f} {rows}; the largest "
            f"here is {self.measured:.3f}"
        )
        if self.attacked is not None:
            least = max(self.attacked - self.attack_error, 0.0)
            text += f", and an attack attains {self.attacked:.3f}, so it is at least {least:.3f}"
        return text + "."

    def to_json(self) -> str:
        """Return all fields as JSON; NaN becomes null.

        Returns
        -------
        str
        """
        fields = {
            name: getattr(self, name)
            for name in (
                "bound",
                "measured",
                "confidence_level",
                "scope",
                "constraint",
                "attacked",
                "attack_error",
            )
        }
        fields = {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in fields.items()
        }
        fields["n_rows"] = {str(group): n for group, n in self.n_rows.items()}
        fields["table"] = json.loads(self.table.astype({"label": str}).to_json(orient="records"))
        return json.dumps(fields, indent=2)

    def _repr_html_(self) -> str:
        return (
            f"<p>{escape(self.summary())}</p>{self.table.to_html(index=False, float_format='%.3f')}"
        )

    def __str__(self) -> str:
        return self.summary()
