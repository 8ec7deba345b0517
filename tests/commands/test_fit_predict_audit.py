"""From a CSV file to a model, to predictions of new rows, and to an audit of them."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from threadpoolctl import threadpool_limits

from fairsteer import TRUSTED_TYPES
from fairsteer.commands._main import main
from fairsteer.compare._columns import read_again, read_features
from fairsteer.metrics import fairness_gaps, impact_ratios, noise_floor

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FIT = ["--target", "decision", "--sensitive", "region", "--favorable", "approve"]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1):
        yield


def make_rows(n=700, seed=0):
    """Make text, gaps, dates, an attribute with three values, and identifiers."""
    rng = np.random.default_rng(seed)
    region = rng.choice(["north", "south", "east"], n, p=[0.5, 0.3, 0.2])
    score = rng.normal(size=n) - 0.5 * pd.Series(region).map({"north": 0, "south": 1, "east": 2})
    income = np.exp(score) * 30_000
    days = pd.to_timedelta(rng.integers(0, 3000, n), unit="D")
    return pd.DataFrame(
        {
            "number": [f"00{i}" for i in range(n)],
            "income": [f"{x:,.0f}" if rng.random() > 0.03 else "" for x in income],
            "job": rng.choice(["cook", "clerk", "nurse"], n),
            "since": (pd.Timestamp("2015-01-01") + days).strftime("%d.%m.%Y"),
            "region": region,
            "decision": np.where(score + rng.normal(size=n) > -0.3, "approve", "deny"),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Fit a model, and write new rows beside it."""
    path = tmp_path_factory.mktemp("model")
    rows = make_rows()
    rows.iloc[:500].to_csv(path / "train.csv", index=False)
    new = rows.iloc[500:].copy()
    new.loc[500, "job"], new.loc[501, "region"], new.loc[502, "region"] = "pilot", "", "west"
    new.loc[503, "income"] = "a lot"
    new.to_csv(path / "new.csv", index=False)
    options = [*FIT, "--id", "number", "--folds", "3", "--output", str(path / "model")]
    assert main(["fit", str(path / "train.csv"), *options]) == 0
    return path


def predict(folder, name="scored.csv", rows="new.csv", *options):
    code = main(
        ["predict", str(folder / "model"), str(folder / rows), *options,
         "--output", str(folder / name)]
    )  # fmt: skip
    assert code == 0
    return pd.read_csv(folder / name, dtype=str, keep_default_na=False)


def test_the_commands_of_the_guide_run(tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs" / "user_guide" / "fit_and_predict.md").read_text(encoding="utf-8")
    commands = re.search(r"```sh\n(.*?)```", page, re.DOTALL)[1].splitlines()
    monkeypatch.chdir(tmp_path)
    make_rows(400, 2).to_csv("people.csv", index=False)
    make_rows(60, 3).to_csv("new.csv", index=False)
    assert [command.split()[1] for command in commands] == ["compare", "fit", "predict", "audit"]
    # Exponentiated gradient takes most of the time of a comparison, and has its own tests.
    commands[0] += " --folds 2 --skip exponentiated_gradient"
    for command in commands:
        assert main(shlex.split(command)[1:]) == 0
    for name in re.findall(r"`(\w+\.(?:skops|json|md|csv|html))`", page):
        if name != "certificate.json":
            assert (tmp_path / name).exists() or list(tmp_path.glob(f"*/{name}")), name
    assert "impact ratio" in capsys.readouterr().out


def test_fit_writes_the_model_and_what_describes_it(folder):
    names = {path.name for path in (folder / "model").iterdir()}
    assert {"model.skops", "schema.json", "model_card.md", "metrics.csv", "report.html"} <= names
    assert "certificate.json" not in names
    schema = json.loads((folder / "model" / "schema.json").read_text())
    assert schema["readings"] == {
        "income": ["number", ".", ""], "job": ["text", "", ""], "since": ["date", "%d.%m.%Y", ""],
    }  # fmt: skip
    assert (schema["id"], schema["sensitive"], schema["favorable"]) == (
        "number", ["region"], "approve",
    )  # fmt: skip
    card = (folder / "model" / "model_card.md").read_text()
    metrics = pd.read_csv(folder / "model" / "metrics.csv").set_index("method")
    for name, row in metrics.iterrows():
        shown = "fitted procedure" if name.startswith("steering") else name
        gap, floor = row["equalized_odds"], row["floor_equalized_odds"]
        assert f"| {shown} | {row['accuracy']:.3f} | {gap:.3f} (floor {floor:.3f})" in card


def test_predictions_are_those_of_the_python_estimator(folder, capsys):
    scored = predict(folder)
    err = capsys.readouterr().err
    for fact in ("'a lot'", "'pilot'", "1 row without region", "'west'"):
        assert fact in err
    raw = pd.read_csv(folder / "new.csv", dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(scored[list(raw)], raw)
    pipeline = skops.io.load(folder / "model" / "model.skops", trusted=TRUSTED_TYPES)
    income = pd.to_numeric(raw["income"].str.replace(",", ""), errors="coerce")
    since = pd.to_datetime(raw["since"], format="%d.%m.%Y") - pd.Timestamp("1970-01-01")
    data = pd.DataFrame({"income": income, "job": raw["job"], "since": since.dt.days.astype(float)})
    groups = raw["region"].where(raw["region"] != "", None)
    given = {"sensitive_features": groups, "row_ids": raw["number"].to_numpy(dtype=object)}
    expected = pipeline.predict(data, **given)
    assert scored["prediction"].tolist() == expected.tolist()
    favorable = pipeline.classes_.tolist().index("approve")
    probabilities = pipeline.predict_proba(data, **given)[:, favorable]
    np.testing.assert_allclose(scored["probability"].astype(float), probabilities, rtol=1e-12)
    changed = expected != pipeline[-1].predict_unmitigated(pipeline[:-1].transform(data))
    assert scored["changed"].tolist() == [str(flag) for flag in changed]
    assert 0 < changed.sum() < len(changed)


def test_two_runs_and_rows_one_by_one_give_the_same(folder):
    scored = predict(folder)
    predict(folder, "again.csv")
    assert (folder / "scored.csv").read_bytes() == (folder / "again.csv").read_bytes()
    raw = pd.read_csv(folder / "new.csv", dtype=str, keep_default_na=False)
    for place in (0, 1, 2, 3, 50):
        raw.iloc[[place]].to_csv(folder / "one.csv", index=False)
        one = predict(folder, "one_scored.csv", "one.csv", "--id", "number")
        pd.testing.assert_frame_equal(one, scored.iloc[[place]].reset_index(drop=True))


def test_rows_without_the_sensitive_column_are_predicted(folder, capsys):
    rows = pd.read_csv(folder / "new.csv", dtype=str, keep_default_na=False)
    rows.drop(columns="region").to_csv(folder / "blind.csv", index=False)
    assert len(predict(folder, "blind_scored.csv", "blind.csv")) == len(rows)
    assert "no column 'region'" in capsys.readouterr().err


def test_the_audit_has_the_numbers_of_the_metrics(folder, capsys):
    scored = predict(folder)
    options = ["--target", "decision", "--prediction", "prediction", "--sensitive", "region"]
    options += ["--favorable", " Approve", "--output", str(folder / "audit")]
    assert main(["audit", str(folder / "scored.csv"), *options]) == 0
    out = capsys.readouterr().out
    found = json.loads((folder / "audit" / "audit.json").read_text())
    known = scored[scored["region"] != ""]
    assert (found["rows"], found["rows_left_out"]) == (len(known), 1)
    assert found["groups_not_compared"] == ["west"]
    decided = (known["prediction"] == "approve").astype(int)
    ratios = impact_ratios(decided, sensitive_features=known[["region"]])
    assert [row["impact_ratio"] for row in found["impact_ratios"]] == [
        None if np.isnan(ratio) else ratio for ratio in ratios["impact_ratio"]
    ]
    large = known["region"] != "west"
    given = {
        "y_true": (known["decision"] == "approve").astype(int)[large],
        "y_pred": decided[large],
        "sensitive_features": known["region"][large],
    }
    intervals, floors = fairness_gaps(**given, confidence_level=0.95), noise_floor(**given)
    for name, interval in intervals.items():
        own = found["gaps"][name]
        assert own == {**interval._asdict(), "floor": floors[name]}
        line = f"| {name.replace('_', ' ')} | {own['value']:.3f} | {own['low']:.3f} to "
        assert line in out
    assert (folder / "audit" / "audit.md").read_text() in out


def test_a_certified_model_has_its_certificate(tmp_path, capsys):
    make_rows(2000, 1).to_csv(tmp_path / "rows.csv", index=False)
    options = [*FIT, "--drop", "number", "--constraint", "demographic_parity", "--folds", "2"]
    options += ["--max-gap", "0.3", "--confidence", "0.9", "--output", str(tmp_path / "model")]
    assert main(["fit", str(tmp_path / "rows.csv"), *options]) == 0
    certificate = json.loads((tmp_path / "model" / "certificate.json").read_text())
    assert certificate["bound"] <= 0.3
    model = skops.io.load(tmp_path / "model" / "model.skops", trusted=TRUSTED_TYPES)
    assert json.loads(model[-1].fairness_certificate_.to_json()) == certificate
    # Draws of the certificate depend on the values of rows.
    scored = ["predict", str(tmp_path / "model"), str(tmp_path / "rows.csv"), "--output"]
    assert main([*scored, str(tmp_path / "x.csv"), "--id", "number"]) == 2
    again = [*FIT, "--drop", "number", "--folds", "2", "--output", str(tmp_path / "model")]
    assert main(["fit", str(tmp_path / "rows.csv"), *again]) == 0
    assert not (tmp_path / "model" / "certificate.json").exists()
    options[options.index("0.3")] = "0.01"
    options[-1] = str(tmp_path / "other")
    assert main(["fit", str(tmp_path / "rows.csv"), *options]) == 2
    assert "No candidate has a gap of at most 0.01" in capsys.readouterr().err
    assert not list((tmp_path / "other").iterdir())


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (["predict", "model", "new.csv", "--id", "nr", "--output", "x.csv"], "'nr'"),
        (["predict", "model", "few.csv", "--output", "x.csv"], "lacks features"),
        (["predict", ".", "new.csv", "--output", "x.csv"], "has no model"),
        (["predict", "model", "scored.csv", "--output", "x.csv"], "'prediction' already"),
        (["predict", "model", "new.csv", "--output", "model"], "is a folder"),
        (["predict", "model", "new.csv", "--output", "none/x.csv"], "no folder"),
        (["fit", "train.csv", *FIT, "--confidence", "0.9", "--output", "m"], "--max-gap"),
        (["fit", "train.csv", *FIT, "--max-gap", "2", "--output", "m"], "between 0 and 1"),
        (["fit", "train.csv", *FIT], "--output"),
        (
            ["audit", "new.csv", "--prediction", "decision", "--sensitive", "region",
             "--favorable", "aprove"],
            "Did you mean 'approve'",
        ),
        (
            ["audit", "new.csv", "--prediction", "job", "--target", "decision", "--sensitive",
             "region", "--favorable", "approve", "--confidence", "95"],
            "--confidence",
        ),
    ],
)  # fmt: skip
def test_wrong_use_is_one_sentence(folder, monkeypatch, capsys, arguments, fact):
    monkeypatch.chdir(folder)
    predict(folder)
    pd.read_csv(folder / "new.csv").drop(columns="income").to_csv("few.csv", index=False)
    capsys.readouterr()
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert fact in err
    assert err.count("\n") == 1
    assert not (folder / "x.csv").exists()


@pytest.mark.parametrize(
    ("separator", "cells", "new", "values", "unread"),
    [
        (";", ["1,5", "2,25"], ["3,5", "?", "x"], [3.5, np.nan, np.nan], ["x"]),
        (";", ["01.02.2020", "15.02.2020"], ["03.04.2021"], [18720.0], []),
        (",", ["true", "false"], ["TRUE", "maybe"], [True, np.nan], ["maybe"]),
        (",", ["a", "b"], ["1", " c "], ["1", "c"], []),
        (",", ["$5", "$1,000"], ["$2,000", "7", "€7"], [2000.0, 7.0, np.nan], ["€7"]),
        (",", ["57%", "12%"], ["0.57", "5%"], [np.nan, 5.0], ["0.57"]),
    ],
)
def test_new_cells_are_read_as_those_of_training(separator, cells, new, values, unread):
    _, _, readings = read_features(pd.DataFrame({"x": cells}), separator=separator)
    column, found = read_again(pd.Series(new), readings["x"])
    pd.testing.assert_series_equal(column, pd.Series(values), check_dtype=False)
    assert found == unread


@pytest.mark.parametrize("estimator", ["logistic", "boosting"])
def test_numbers_with_gaps_and_both_estimators(tmp_path, estimator, capsys):
    rows = make_rows(300, 4).drop(columns=["job", "since", "number"])
    rows["group"] = rows.pop("region") == "north"
    rows.to_csv(tmp_path / "rows.csv", index=False)
    options = ["--target", "decision", "--sensitive", "group", "--favorable", "approve"]
    options += ["--estimator", estimator, "--folds", "2", "--output", str(tmp_path / "model")]
    assert main(["fit", str(tmp_path / "rows.csv"), *options]) == 0
    new = pd.DataFrame({"income": ["", "1e999", "30,000"], "group": ["TRUE", "unknown", ""]})
    new.to_csv(tmp_path / "new.csv", index=False)
    capsys.readouterr()
    scored = predict(tmp_path)
    err = capsys.readouterr().err
    assert "'1e999'" in err
    assert "not in the training table, treated as rows without group: 'unknown'" in err
    assert "1 row without group" in err
    assert set(scored["prediction"]) <= {"approve", "deny"}
    new.iloc[:1].to_csv(tmp_path / "one.csv", index=False)
    one = predict(tmp_path, "one_scored.csv", "one.csv")
    pd.testing.assert_frame_equal(one, scored.iloc[:1])


def test_an_audit_needs_two_groups_to_compare(tmp_path, capsys):
    few = pd.DataFrame({"g": ["a"] * 395 + ["b"] * 5, "p": [0, 1] * 200, "y": [1, 0] * 200})
    few.to_csv(tmp_path / "few.csv", index=False)
    options = ["--prediction", "p", "--sensitive", "g", "--favorable", "1"]
    assert main(["audit", str(tmp_path / "few.csv"), *options, "--target", "y"]) == 0
    out = capsys.readouterr().out
    assert "Fewer than two groups are compared." in out
    assert "## Gaps" not in out
    few[["g", "p"]].to_csv(tmp_path / "two.csv", index=False)
    assert main(["audit", str(tmp_path / "two.csv"), *options]) == 0
    few["y"] = np.where(few["y"] == 1, "good", "bad")
    few.to_csv(tmp_path / "few.csv", index=False)
    assert main(["audit", str(tmp_path / "few.csv"), *options, "--target", "y"]) == 2
    assert "no value in common" in capsys.readouterr().err


def test_a_broken_model_is_one_sentence(folder, tmp_path, capsys):
    for name in ("model.skops", "schema.json"):
        content = (folder / "model" / name).read_bytes()
        (tmp_path / name).write_bytes(content if name == "schema.json" else content[:1000])
    options = [str(tmp_path), str(folder / "new.csv"), "--output", str(tmp_path / "x.csv")]
    assert main(["predict", *options]) == 2
    assert "cannot be loaded" in capsys.readouterr().err
