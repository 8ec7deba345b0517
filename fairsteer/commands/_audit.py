"""``fairsteer audit``: the decisions of any model, without training."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rich.text import Text

from fairsteer.commands._output import prepare_folder, write_files
from fairsteer.compare import _terminal as terminal
from fairsteer.compare._columns import read_labels
from fairsteer.compare._files import read_file
from fairsteer.compare._roles import check_roles, find_favorable
from fairsteer.compare._table import as_text, join_groups, list_names
from fairsteer.exceptions import UsageError
from fairsteer.metrics import fairness_gaps, impact_ratios, noise_floor
from fairsteer.metrics._impact import FOUR_FIFTHS

MIN_SHARE = 0.02
AUDIT = ("audit.md", "audit.json")
GAPS = ("demographic_parity", "equal_opportunity", "equalized_odds")


@dataclass(frozen=True, eq=False)
class Audit:
    """What was measured.

    Parameters
    ----------
    subject : str
        The file and the decision.
    n_rows, n_unknown : int
        Rows that were measured, and rows without decision, label or group.
    small : tuple of str
        Groups with less than `MIN_SHARE` of the rows, which are not compared.
    ratios : DataFrame
        From ``impact_ratios``.
    gaps : DataFrame
        By gap: ``value``, ``low``, ``high`` and ``floor``; empty without labels.
    confidence_level : float
        Of the intervals.
    """

    subject: str
    n_rows: int
    n_unknown: int
    small: tuple[str, ...]
    ratios: pd.DataFrame
    gaps: pd.DataFrame
    confidence_level: float


def run_audit(arguments, command: str) -> int:
    """Measure the decisions of a file, print them, and write the audit.

    Parameters
    ----------
    arguments : Namespace
        Of ``fairsteer audit``.
    command : str
        The command line.

    Returns
    -------
    int
        0 on success, 1 if a file could not be written.
    """
    if not 0.0 < arguments.confidence < 1.0:
        raise UsageError(f"--confidence must be between 0 and 1, not {arguments.confidence:g}.")
    if arguments.output is not None:
        prepare_folder(arguments.output, AUDIT)
    audit = measure(
        Path(arguments.table),
        arguments.prediction,
        arguments.sensitive,
        arguments.favorable,
        target=arguments.target,
        missing=arguments.missing or (),
        confidence_level=arguments.confidence,
    )
    text = write_markdown(audit)
    terminal.make_console().print(Text(text), soft_wrap=True)
    if arguments.output is None:
        return 0
    files = {"audit.md": text, "audit.json": write_json(audit, command)}
    return 0 if write_files(arguments.output, files) else 1


def measure(
    path: Path, prediction, sensitive, favorable, *, target=None, missing=(), confidence_level=0.95
) -> Audit:
    """Measure decisions of a file.

    Parameters
    ----------
    path : Path
        A CSV, Parquet or Excel file.
    prediction : str
        The column of decisions.
    sensitive : sequence of str
        The sensitive columns.
    favorable : str
        The favorable decision.
    target : str, optional
        The column of true labels, which has the values of the decisions.
    missing : sequence of str
        Cells that are missing values.
    confidence_level : float, default=0.95
        Of the intervals.

    Returns
    -------
    Audit

    Raises
    ------
    UsageError
        If the arguments do not fit the file; one sentence.
    """
    frame = read_file(path, least_columns=2).frame
    first, *others = [name for name in (prediction, target) if name is not None]
    check_roles(frame, path, first, [*others, *sensitive], ())
    names = [first, *others, *sensitive]
    columns = pd.DataFrame({name: read_labels(frame[name], missing) for name in names})
    known = columns.notna().all(axis=1)
    rows = columns[known].reset_index(drop=True)
    if rows.empty:
        raise UsageError(f"no row of '{path.name}' has {' and '.join(map(repr, names))}.")
    rows = rows.map(as_text)
    values = sorted(set(rows[[first, *others]].to_numpy().ravel()))
    best = find_favorable(values, favorable, repr(first))
    decided = (rows[first] == best).astype(int).to_numpy()
    if others and set(rows[first]).isdisjoint(rows[target]):
        raise UsageError(
            f"the columns {first!r} and {target!r} of '{path.name}' have no value in common: write "
            "decisions and labels with the same values."
        )
    attributes = rows[list(sensitive)]
    groups = join_groups(attributes)
    if groups.nunique() < 2:
        raise UsageError(
            f"the sensitive column {groups.name!r} has only the value {groups.iloc[0]!r}; an audit "
            "needs at least two groups."
        )
    gaps = pd.DataFrame(columns=["value", "low", "high", "floor"])
    shares = groups.map(groups.value_counts(normalize=True))
    large = (shares >= MIN_SHARE).to_numpy()
    if others and groups[large].nunique() > 1:
        y = (rows[target] == best).astype(int).to_numpy()
        given = {"y_true": y[large], "y_pred": decided[large], "sensitive_features": groups[large]}
        found = fairness_gaps(**given, confidence_level=confidence_level)
        floors = noise_floor(**given)
        gaps = pd.DataFrame({n: (*found[n], floors[n]) for n in GAPS}, index=gaps.columns).T
    return Audit(
        subject=f"{path.name}: {prediction} = {best}",
        n_rows=len(rows),
        n_unknown=int((~known).sum()),
        small=tuple(sorted(groups[~large].unique())),
        ratios=impact_ratios(
            decided, pos_label=1, sensitive_features=attributes, min_share=MIN_SHARE
        ),
        gaps=gaps,
        confidence_level=confidence_level,
    )


def write_markdown(audit: Audit) -> str:
    """Write an audit as Markdown.

    Parameters
    ----------
    audit : Audit
        From `measure`.

    Returns
    -------
    str
    """
    lines = [
        f"# Audit of {audit.subject}",
        "",
        f"Rows: {audit.n_rows}. Left out, because decision, label or group is missing: "
        f"{audit.n_unknown}.",
        "",
        "## Selection rates",
        "",
        "The impact ratio is the selection rate divided by the highest one of the attribute. p: "
        "Fisher's exact test against the group with the highest rate. Groups with less than "
        f"{MIN_SHARE:.0%} of the rows are not compared"
        + (f": {list_names(audit.small)}." if audit.small else "; there are none."),
        "",
    ]
    for attribute, table in audit.ratios.groupby(level="attribute", sort=False):
        lines += [
            f"| {_cell(attribute)} | rows | selection rate | impact ratio | p |",
            "|---|---|---|---|---|",
        ]
        for (_, group), row in table.iterrows():
            flag = " (below four fifths)" if row["below_four_fifths"] else ""
            lines.append(
                f"| {_cell(attribute)} = {_cell(group)} | {row['rows']} | "
                f"{row['selection_rate']:.3f} | {_number(row['impact_ratio'], 2)}{flag} | "
                f"{_number(row['p_value'], 3)} |"
            )
        lines.append("")
    lines += [f"{_judge(audit)}", ""]
    if len(audit.gaps):
        lines += [
            "## Gaps",
            "",
            f"Intervals hold with {audit.confidence_level:.0%} confidence for new rows like these, "
            "whatever their distribution, if the model was not fitted to these rows. Chance: the "
            "mean gap if groups were drawn at random.",
            "",
            "| gap | measured | interval | chance |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {name.replace('_', ' ')} | {_number(row['value'], 3)} | {row['low']:.3f} to "
            f"{row['high']:.3f} | {_number(row['floor'], 3)} |"
            for name, row in audit.gaps.iterrows()
        ]
        lines.append("")
    return "\n".join(lines)


def _judge(audit) -> str:
    """Return a sentence on the four-fifths rule."""
    below = audit.ratios[audit.ratios["below_four_fifths"]]
    if audit.ratios["impact_ratio"].count() < 2:
        return "Fewer than two groups are compared."
    if below.empty:
        return "No compared group has an impact ratio below four fifths."
    named = [f"{_cell(a)} = {_cell(group)}" for a, group in below.index[:6]]
    more = f" and {len(below) - 6} more" if len(below) > 6 else ""
    return (
        f"An impact ratio below {FOUR_FIFTHS:g}, which is evidence of adverse impact by the "
        f"four-fifths rule: {', '.join(named)}{more}."
    )


def write_json(audit: Audit, command: str) -> str:
    """Write an audit as JSON.

    Parameters
    ----------
    audit : Audit
        From `measure`.
    command : str
        The command line.

    Returns
    -------
    str
    """
    ratios = audit.ratios.reset_index().astype(object)
    content = {
        "subject": audit.subject,
        "command": command,
        "rows": audit.n_rows,
        "rows_left_out": audit.n_unknown,
        "groups_not_compared": list(audit.small),
        "confidence_level": audit.confidence_level,
        "impact_ratios": ratios.where(ratios.notna(), None).to_dict(orient="records"),
        "gaps": {
            name: {key: None if np.isnan(value) else float(value) for key, value in row.items()}
            for name, row in audit.gaps.astype(float).iterrows()
        },
    }
    return json.dumps(content, indent=1, ensure_ascii=False, default=_plain) + "\n"


def _plain(value):
    return value.item() if isinstance(value, np.generic) else str(value)


def _number(value, digits: int) -> str:
    return "" if np.isnan(value) else f"{value:.{digits}f}"


def _cell(text) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")
