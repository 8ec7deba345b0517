"""The model card of a fitted model."""

from __future__ import annotations

import numpy as np

from fairsteer.compare._summaries import group_outcomes, summarize
from fairsteer.compare._table import as_text

_USES = {
    "score": "the score of the estimator is mapped to one distribution for all groups",
    "cutoffs": "the score of one estimator has cut-offs that depend on the group",
    "weights": "the estimator is trained with weights; no attribute is used for new rows",
    "unmitigated": "the estimator is left as it is",
}


def make_card(model, schema, comparison, method: str, command: str) -> str:
    """Write a model card in Markdown.

    Parameters
    ----------
    model : SteeredClassifierCV
        Fitted.
    schema : Schema
        How tables are read for it.
    comparison : Comparison
        The cross-validation of its procedure, beside the unmitigated estimator.
    method : str
        Name of the procedure in the comparison.
    command : str
        The command line.

    Returns
    -------
    str
    """
    from skops.card import Card

    without = ""
    if model.fairness_certificate_ is not None:
        without = " These numbers are of the procedure without a certificate."
    best, target = model.best_candidate_, schema.target
    card = Card(model.unmitigated_estimator_, template=None)
    card.add(
        **{
            "Model": f"It predicts `{target} = {schema.favorable}` or "
            f"`{target} = {schema.unfavorable}`. Candidate: {best} ({_USES.get(best, best)}). It "
            f"was chosen for the gap of {model.constraint.replace('_', ' ')} between groups of "
            f"{', '.join(schema.sensitive)}.",
            "Training table": comparison.table.conventions,
            "Procedure": f"Written by fairsteer {schema.version}:\n\n```\n{command}\n```",
            "Accuracy and gaps": "By cross-validation on the training table; the floor is the gap "
            f"that chance explains.{without}\n\n{_measures(comparison, method, bool(without))}",
            "Groups": _groups(comparison, method),
            "What is guaranteed": _guarantee(model),
            "Limits": "Rows without a known group are treated by the probabilities of the groups "
            "given their features. The gap of such rows was not measured. Gaps of rows that differ "
            "from the training table can be of any size.",
        }
    )
    return card.render()


def _measures(comparison, method, certified) -> str:
    summary = summarize(comparison.results)
    names = ("accuracy", "equalized_odds", "equal_opportunity", "demographic_parity")
    lines = [
        "| | accuracy | gap: " + " | gap: ".join(n.replace("_", " ") for n in names[1:]) + " |"
    ]
    lines.append("|---" * (len(names) + 1) + "|")
    for (_, own), row in summary.iterrows():
        cells = [f"{row['accuracy', 'mean']:.3f}"]
        cells += [
            f"{row[name, 'mean']:.3f} (floor {row[f'floor_{name}', 'mean']:.3f})"
            for name in names[1:]
        ]
        shown = ("steering" if certified else "fitted procedure") if own == method else own
        lines.append(f"| {shown} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _groups(comparison, method) -> str:
    table = comparison.table
    outcomes = group_outcomes(table.target, table.groups, comparison.finished)
    (estimator,) = comparison.options.estimators
    if (estimator, method) not in comparison.finished:
        return "Not measured."
    chosen = [key[:2] == (estimator, method) for key in outcomes.index]
    rows = outcomes[chosen].droplevel([0, 1])
    lines = ["| group | rows | selected, before | after | TPR, before | after |", "|---" * 6 + "|"]
    for group, row in rows.iterrows():
        cells = [
            f"{row[rate, when]:.3f}" if np.isfinite(row[rate, when]) else "undefined"
            for rate in ("selection_rate", "tpr")
            for when in ("before", "after")
        ]
        name = as_text(group).replace("|", "\\|")
        lines.append(f"| {name} | {int(row['rows', ''])} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _guarantee(model) -> str:
    if model.fairness_certificate_ is not None:
        return model.fairness_certificate_.summary()
    return (
        "Nothing: the gaps above are measured. With --max-gap and --confidence a bound is "
        "certified on rows set aside."
    )
