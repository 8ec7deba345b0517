import dataclasses
import importlib.util
import io
import os
import re
from html.parser import HTMLParser
from importlib.resources import files as resources

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

import fairsteer
from fairsteer.commands import _compare as command_line
from fairsteer.commands._main import main
from fairsteer.compare import _report as module
from fairsteer.compare import _report_figures as figures
from fairsteer.compare import _wording as words
from fairsteer.compare import compare
from fairsteer.compare._bootstrap import (
    INTERVAL_COLUMNS,
    chance_gaps,
    interval_table,
    resample,
)
from fairsteer.compare._methods import METHODS, make_estimator, make_procedure
from fairsteer.compare._report import FILES, NothingToReport, choose_subject, report_files
from fairsteer.compare._report_changes import ATTACK_COLUMNS, CHANGE_COLUMNS, CHOICE_COLUMNS
from fairsteer.compare._run import GAPS, split_rows, unit_seed
from fairsteer.compare._table import Table
from fairsteer.metrics._report import RATES

pytestmark = pytest.mark.slow

GROUPS = ("<script>alert(1)</script>", "Smith & Sons", "$c$")
QUICK = [
    *("exponentiated_gradient", "threshold_optimizer", "correlation_remover"),
    *("score_steering", "constant"),
]
ONE_STEERING = ["steering-equal_opportunity", "steering-demographic_parity"]
STEERING = ("logistic", "steering-equalized_odds")
COMMAND = "fairsteer compare 'a & <b>.csv' --output out"
VOID = {"meta", "link", "img", "br"}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1):
        yield


def make_table(n=240, groups=GROUPS, seed=0):
    """Make a mixed table whose names must be escaped."""
    rng = np.random.default_rng(seed)
    group = np.resize(groups, n)
    score = rng.normal(np.resize(np.linspace(0.0, 2.0, len(groups)), n), 1.0)
    return Table(
        name="people <1>",
        data=pd.DataFrame(
            {
                "score <i>": score,
                "income": np.where(rng.random(n) < 0.1, np.nan, np.exp(score + 10).round()),
                "job & trade": rng.choice(["<b>cook</b>", "<b>clerk</b>", "<b>nurse</b>"], n),
            }
        ),
        target=pd.Series((score + rng.normal(size=n) > 0.5).astype(int)),
        groups=pd.Series(group, dtype=object, name="ethn&<b>"),
        attributes=pd.DataFrame({"ethn&<b>": group}),
        favorable="hired & <u>paid</u>",
        conventions="made up <em>here</em>.",
        warnings=("look at <q>this</q>.",),
    )


@pytest.fixture(scope="module")
def comparison():
    left_out = ["exponentiated_gradient", "score_steering", "constant", *ONE_STEERING]
    return compare(make_table(), cv=2, skip=[*left_out, "threshold_optimizer-equal_opportunity"])


@pytest.fixture(scope="module")
def files(comparison):
    return report_files(comparison, COMMAND)


def read(files, name):
    keep = {"group": str, "feature": str, "category": str, "label": str, "value": str}
    kinds = keep if name != module.INTERVALS else {}
    return pd.read_csv(io.StringIO(files[name]), dtype=kinds, keep_default_na=name != module.RUN)


class Page(HTMLParser):
    """A parsed page: elements in order, numbers with their sources, and the other text."""

    def __init__(self, html):
        super().__init__()
        self.stack, self.elements, self.data, self.cells, self.text = [], [], [], {}, ""
        self.rows = {}
        self.feed(html)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.elements.append((tag, attrs))
        if tag not in VOID:
            self.stack.append((tag, attrs))
        if tag == "data":
            self.data.append((float(attrs["value"]), self.table(), self.path(), ""))

    def handle_endtag(self, tag):
        assert self.stack.pop()[0] == tag

    def handle_data(self, text):
        tags = [tag for tag, _ in self.stack]
        if tags and tags[-1] == "data":
            self.data[-1] = (*self.data[-1][:3], text)
        elif "style" not in tags:
            self.text += text

    def table(self):
        return next((attrs.get("data-source") for tag, attrs in self.stack if tag == "table"), None)

    def path(self):
        """Return the data attributes of the row and the cell."""
        return {k: v for _, attrs in self.stack for k, v in attrs.items() if k.startswith("data-")}

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    def numbers(self, **where):
        where = {f"data-{key}": value for key, value in where.items()}
        return [value for value, _, path, _ in self.data if where.items() <= path.items()]


@pytest.fixture(scope="module")
def page(files):
    return Page(files["report.html"])


def shown_as(text):
    """Return the number that a text shows and the size of its last digit."""
    plain = text.replace("\N{MINUS SIGN}", "-").replace(",", "").removesuffix("%").lstrip("+")
    return float(plain), 10.0 ** -len(plain.partition(".")[2])


def test_every_number_is_in_a_table_that_the_page_cites(files, page):
    tables = {name: read(files, name) for name in FILES[:-1]}
    found = {}
    for name, table in tables.items():
        values = pd.to_numeric(table.to_numpy().ravel(), errors="coerce")
        found[name] = set(values[~np.isnan(values)])
    assert len(page.data) > 200
    for value, source, _, text in page.data:
        candidates = found[source] if source else set().union(*found.values())
        assert value in candidates, (value, source)
        shown, step = shown_as(text)
        assert min(abs(shown - value), abs(shown - 100 * value)) <= 0.5 * step + 1e-9, text


def test_every_other_number_is_a_known_constant(files, page):
    run, choices = read(files, "run.csv"), read(files, "choices.csv")
    known = set(re.findall(r"\d+(?:\.\d+)?", " ".join(run["value"]))) | {"0"}  # no gap
    known |= set(re.findall(r"\d+(?:\.\d+)?", " ".join(choices["parameters"].dropna())))
    assert set(re.findall(r"\d+(?:\.\d+)?", page.text)) <= known
    assert "%" not in page.text


def test_numbers_in_alternative_texts_are_those_of_the_tables(files, page):
    intervals, groups = read(files, "intervals.csv"), read(files, "groups.csv")
    values = [*intervals["value"], *groups["before"], *groups["after"]]
    known = {f"{100 * value:.1f}" for value in values}
    numbers = re.findall(r"\d+\.\d+", " ".join(image["alt"] for image in page.all("img")))
    assert len(numbers) > 20
    assert set(numbers) <= known


def test_cells_hold_the_number_of_their_row_and_column(files, page):
    intervals, groups = read(files, "intervals.csv"), read(files, "groups.csv")
    for row in intervals.itertuples():
        expected = [row.value, row.low, row.high]
        if row.measure in GAPS:
            expected += [row.floor, row.floor_high]
        assert page.numbers(method=row.method, measure=row.measure) == expected
    own = groups[groups["method"] == STEERING[1]]
    assert len(own) == 3 * len(RATES)
    for row in own.itertuples():
        expected = [row.before, row.after, row.low, row.high]
        assert page.numbers(group=row.group, rate=row.rate) == expected
    for row in read(files, "attacks.csv").itertuples():
        expected = [row.attack, row.attack_deviation]
        assert page.numbers(constraint=row.constraint, method=row.method) == expected
    changes = read(files, "changes.csv")
    for row in changes[changes["method"] == STEERING[1]].itertuples():
        found = [value for value, source, path, _ in page.data if source == "changes.csv"
                 and path["data-group"] == row.group]  # fmt: skip
        assert found == [row.rows, row.gained, row.lost, row.changed]
    for row in read(files, "choices.csv").itertuples():
        expected = [row.repeat, row.fold, row.accuracy, row.gap, row.floor]
        assert page.numbers(repeat=str(row.repeat), fold=str(row.fold)) == expected


def test_the_darker_band_holds_for_every_method_shown(files, monkeypatch):
    intervals = read(files, "intervals.csv")
    monkeypatch.setattr(figures, "_svg", lambda figure: figure)
    figure = figures.tradeoff_svg(intervals, "equalized_odds", METHODS)
    ends = [patch.get_x() + patch.get_width() for patch in figure.axes[0].patches]
    floors = figures.tradeoff_points(intervals, "equalized_odds", METHODS)["gap", "floor"]
    assert floors.min() < floors.max()
    assert_allclose(ends, [100.0 * floors.min(), 100.0 * floors.max()])


def test_the_tables_agree_with_the_results(comparison, files):
    intervals = read(files, "intervals.csv").set_index(["method", "measure"])["value"]
    for row in comparison.results.to_dict("records"):
        for measure in ("accuracy", "balanced_accuracy", *GAPS):
            assert intervals[row["method"], measure] == pytest.approx(row[measure], abs=1e-12)


def test_the_first_screen_answers(files, page):
    intervals = read(files, "intervals.csv").set_index(["method", "measure"])
    gap = intervals.loc[(STEERING[1], "equalized_odds")]
    before = intervals.loc[("unmitigated", "equalized_odds")]
    accuracy = intervals.loc[(STEERING[1], "accuracy")]
    first = [value for value, *_ in page.data[:8]]
    attacks = read(files, "attacks.csv").set_index(["method", "constraint"])["attack"]
    assert first[:2] == [before["value"], gap["value"]]
    assert first[2:6] == [gap["low"], gap["high"], gap["floor"], gap["floor_high"]]
    assert first[6] == attacks[STEERING[1], "equalized_odds"]
    assert first[7] == intervals.loc[("unmitigated", "accuracy"), "value"]
    text = " ".join(page.text.split())
    headings = (
        "Summary",
        "Is it fair enough?",
        "What does it cost?",
        "Who pays?",
        "Data and protocol",
    )
    assert sorted(headings, key=text.index) == list(headings)
    assert words.judge_gap(gap["value"], gap["floor"], gap["floor_high"]) in text
    assert words.judge_change(accuracy["change_low"], accuracy["change_high"]) in text
    assert words.describe_attribute_need(METHODS[STEERING[1]], ["ethn&<b>"]) in text


def test_the_loser_and_the_winner_are_named(files, page):
    groups = read(files, "groups.csv")
    own = groups[(groups["method"] == STEERING[1]) & (groups["rate"] == "selection_rate")]
    change = own.set_index("group")["change"]
    text = " ".join(page.text.split())
    assert change.min() < 0.0 < change.max()
    assert f"Group {change.idxmin()} loses most: predicted favorable" in text
    assert f"Group {change.idxmax()} gains most: predicted favorable" in text


def test_names_are_escaped(files, page):
    html = files["report.html"]
    assert not page.all("script")
    assert {"i", "u", "q"}.isdisjoint(tag for tag, _ in page.elements)
    for name in (*GROUPS, "ethn&<b>", "hired & <u>paid</u>", COMMAND):
        assert name in page.text
    assert "people <1>" in page.text
    assert "Warning: look at <q>this</q>." in page.text
    assert "<script" not in html
    assert re.findall(r"&(?!amp;|lt;|gt;|#\d+;|rarr;|hellip;|ldquo;|rdquo;|ndash;)", html) == []


def test_the_page_needs_nothing_else(files, page):
    for tag, attrs in page.elements:
        assert not any(name.startswith("on") for name in attrs)
        for name in ("src", "href"):
            url = attrs.get(name, "data:,")
            assert url.startswith("data:") or (tag == "a" and url in {*FILES, "results.csv"})
    assert "url(" not in files["report.html"]
    assert "@import" not in files["report.html"]


def test_the_page_is_accessible(page):
    assert page.all("html") == [{"lang": "en"}]
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert max(np.diff(levels)) == 1
    tags = [tag for tag, _ in page.elements]
    assert tags.count("table") == tags.count("caption") == 6
    assert [tags[i + 1] for i, tag in enumerate(tags) if tag == "table"] == ["caption"] * 6
    assert all(attrs["scope"] in ("col", "row", "rowgroup") for attrs in page.all("th"))
    assert len(page.all("img")) == 4
    assert all(len(attrs["alt"]) > 60 for attrs in page.all("img"))
    regions = [attrs for attrs in page.all("div") if attrs.get("class") == "scroll"]
    assert len(regions) == 6
    assert all(attrs["tabindex"] == "0" and attrs["aria-label"] for attrs in regions)
    assert {attrs["name"] for attrs in page.all("meta") if "name" in attrs} >= {"viewport"}
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))


def luminance(colour):
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def test_letters_stand_out_from_the_ground():
    css = (resources("fairsteer.compare") / "templates" / "report.css").read_text()
    colours = re.findall(r"[ {]color: (#\w{6})", css)
    assert len(colours) > 3
    ground = luminance("#f6f8fa")
    assert all((ground + 0.05) / (luminance(colour) + 0.05) > 4.5 for colour in colours)


def test_what_was_asked_is_on_the_page(comparison, files, page):
    run = read(files, "run.csv").drop_duplicates("name").set_index("name")["value"]
    assert run["rows"] == "240"
    assert run["reported_method"] == STEERING[1]
    assert float(run["favorable_share"]) == comparison.table.target.mean()
    assert run["command"] == COMMAND
    text = " ".join(page.text.split())
    assert "made up <em>here</em>." in text
    assert f"with fairsteer {fairsteer.__version__}, scikit-learn {run['scikit-learn']}, " in text
    assert "-fold cross-validation, seed" in text


def test_limits_fit_the_method():
    def limits(name):
        return " ".join(words.list_limits(METHODS[name], ["ethn&<b>"], 240))

    steering = limits(STEERING[1])
    assert "Steering needs to know ethn&<b> of every person" in steering
    assert "near a group's cut-off are drawn" in steering
    assert "random, so identical people" not in steering
    randomized = limits("exponentiated_gradient-equalized_odds")
    assert "random, so identical people" in randomized
    assert "needs to know" not in randomized
    assert "cut-off" not in randomized
    for text in (steering, randomized):
        assert "Equal gaps are not justice." in text
        assert "240 rows" in text


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (0.03, "no more than chance alone leaves"),
        (0.031, "chance is not ruled out"),
        (0.05, "chance is not ruled out"),
        (0.051, "A gap remains"),
    ],
)
def test_a_gap_is_compared_with_chance(value, sentence):
    assert sentence in words.judge_gap(value, 0.03, 0.05)


def share_of_remaining_gaps(shift, n_seeds, n_groups=8, rows_per_group=500):
    """Return how often each gap is said to remain where a shift raises one group's rates."""
    codes = np.repeat(np.arange(n_groups), rows_per_group)
    groups = pd.Series([f"g{code}" for code in codes], dtype=object, name="group")
    remains = {name: [] for name in GAPS}
    for seed in range(n_seeds):
        rng = np.random.default_rng(seed)
        y = pd.Series(rng.integers(0, 2, len(codes)))
        predicted = (rng.random(len(codes)) < 0.3 + 0.3 * y + shift * (codes == 0)).astype(int)
        predictions = {("logistic", "unmitigated"): predicted.to_numpy()[None]}
        resampled = resample(y, groups, predictions, seed, n_draws=2)
        intervals = interval_table(resampled, chance_gaps(y, groups, predictions, seed))
        for row in intervals.set_index("measure").loc[list(GAPS)].itertuples():
            sentence = words.judge_gap(row.value, row.floor, row.floor_high)
            remains[row.Index].append(sentence.startswith("A gap remains"))
    return {name: np.mean(said) for name, said in remains.items()}


def test_of_fair_predictions_a_gap_is_seldom_said_to_remain():
    """With the interval's lower end against the floor, it would be nearly a fifth."""
    shares = share_of_remaining_gaps(shift=0.0, n_seeds=150)
    assert max(shares.values()) <= 0.1
    assert min(shares.values()) > 0.0


def test_of_unfair_predictions_a_gap_is_said_to_remain():
    shares = share_of_remaining_gaps(shift=0.2, n_seeds=20)
    assert min(shares.values()) >= 0.95


@pytest.mark.parametrize(
    ("low", "high", "sentence"),
    [
        (-0.1, 0.1, "includes zero"),
        (0.01, 0.1, "not include zero"),
        (-0.2, -0.1, "not include zero"),
    ],
)
def test_a_change_is_compared_with_zero(low, high, sentence):
    assert sentence in words.judge_change(low, high)


@pytest.mark.filterwarnings("ignore::fairsteer.SteeringWarning")
def test_the_choices_are_those_of_the_compared_steering(comparison, files):
    table = comparison.table
    choices = read(files, "choices.csv")
    assert tuple(choices) == CHOICE_COLUMNS
    for fold, (train, test) in enumerate(split_rows(table, 2, 0)):
        seed, estimator = unit_seed(0, 0, fold), make_estimator("logistic", 0)
        procedure = make_procedure(METHODS[STEERING[1]], estimator, table.data, seed)
        groups = table.groups.to_numpy()
        procedure.fit(
            table.data.iloc[train], table.target.iloc[train], sensitive_features=groups[train]
        )
        predicted, _ = procedure.predict(table.data.iloc[test], sensitive_features=groups[test])
        assert_array_equal(predicted, comparison.predictions[*STEERING, 0][test])
        assert comparison.chosen[*STEERING, 0][fold] == procedure.choice_
        row = choices.set_index("fold").loc[fold + 1]
        assert (row["candidate"], row["gap"]) == procedure.choice_[::3][:2]


def test_changed_decisions_are_counted(comparison, files):
    changes = read(files, "changes.csv")
    assert tuple(changes) == CHANGE_COLUMNS
    before = comparison.predictions["logistic", "unmitigated", 0]
    after = comparison.predictions[*STEERING, 0]
    own = changes[changes["method"] == STEERING[1]].set_index("group")
    for group in GROUPS:
        rows = (comparison.table.groups == group).to_numpy()
        assert own.loc[group, "rows"] == rows.sum()
        assert own.loc[group, "gained"] == np.mean(after[rows] > before[rows])
        assert own.loc[group, "lost"] == np.mean(after[rows] < before[rows])


def test_an_attacker_finds_a_group_that_the_scores_show(comparison):
    table = comparison.table
    leaking = (table.groups == GROUPS[0]).to_numpy().astype(float)
    scores = {**comparison.scores, (*STEERING, 0): leaking}
    files = report_files(dataclasses.replace(comparison, scores=scores), "x")
    attacks = read(files, "attacks.csv")
    assert tuple(attacks) == ATTACK_COLUMNS
    assert attacks.set_index(["method", "constraint"])["attack"][STEERING[1]].min() > 0.9


def test_leveling_down_is_flagged(comparison):
    y = comparison.table.target.to_numpy()
    refused = {**comparison.predictions, (*STEERING, 0): np.zeros_like(y)}
    page = Page(report_files(dataclasses.replace(comparison, predictions=refused), "x")[
        "report.html"])  # fmt: skip
    text = " ".join(page.text.split())
    assert "Leveling down: " in text
    assert "and no group gained." in text
    assert "No leveling down" not in text
    assert [attrs for attrs in page.all("small") if attrs.get("class") == "flag"]


def test_an_interval_above_its_gap_is_explained(comparison, monkeypatch):
    def raised(*args):
        table = module_table(*args)
        table["low"] = table["value"] + 0.01
        return table

    module_table = module.interval_table
    assert words.INTERVAL_ABOVE_GAP not in Page(report_files(comparison, "x")["report.html"]).text
    monkeypatch.setattr(module, "interval_table", raised)
    assert words.INTERVAL_ABOVE_GAP in Page(report_files(comparison, "x")["report.html"]).text


def test_folds_without_steering_are_counted(comparison):
    chosen = {**comparison.chosen}
    key = (*STEERING, 0)
    chosen[key] = (chosen[key][0]._replace(candidate="unmitigated"), *chosen[key][1:])
    files = report_files(dataclasses.replace(comparison, chosen=chosen), "x")
    text = " ".join(Page(files["report.html"]).text.split())
    assert "folds it chose no intervention" in text
    kept = (read(files, "choices.csv")["candidate"] == "unmitigated").sum()
    assert kept >= 1


def test_without_steering_there_is_no_choice():
    made = compare(make_table(), cv=2, skip=["steering", "exponentiated_gradient"])
    files = report_files(made, "x")
    assert choose_subject(made.finished, made.methods).method.family == "score_steering"
    assert files["choices.csv"].count("\n") == 1
    text = Page(files["report.html"]).text
    assert "What steering chose" not in text


def test_unmitigated_alone_has_no_before():
    made = compare(make_table(groups=("a", "b")), cv=2, skip=["steering", *QUICK])
    page = Page(report_files(made, "x")["report.html"])
    text = " ".join(page.text.split())
    assert "This report is about No intervention." in text
    assert "There are no numbers to compare with." in text
    assert "loses most" not in text
    assert len(page.all("img")) == 3


def test_without_unmitigated_there_is_no_before():
    skip = ["steering", "unmitigated", "score_steering", "constant", *QUICK[:2]]
    files = report_files(compare(make_table(groups=("a", "b")), cv=2, skip=skip), "x")
    text = " ".join(Page(files["report.html"]).text.split())
    assert "unmitigated was not run, so there are no numbers to compare with" in text
    assert "before (no intervention) and after" not in text
    assert read(files, "intervals.csv")["change"].isna().all()


def test_repeats_estimators_and_the_frontier():
    estimators = {"lr": LogisticRegression(), "tree": DecisionTreeClassifier(max_depth=3)}
    made = compare(
        make_table(n=120, groups=("a", "b")),
        estimators=estimators,
        cv=2,
        repeats=2,
        skip=[*QUICK, *ONE_STEERING],
        frontier=True,
    )
    files = report_files(made, "x")
    page = Page(files["report.html"])
    intervals = read(files, "intervals.csv")
    assert list(intervals) == list(INTERVAL_COLUMNS)
    assert set(intervals["estimator"]) == set(estimators)
    assert "steering-equalized_odds@0.05" in set(intervals["method"])
    assert not read(files, "groups.csv")["method"].str.contains("@").any()
    results = made.results.groupby(["estimator", "method"])["accuracy"].mean()
    for row in intervals[intervals["measure"] == "accuracy"].itertuples():
        assert row.value == pytest.approx(results[row.estimator, row.method])
    text = " ".join(page.text.split())
    assert "averaged over the repeats" in text
    assert "Accuracy and gaps, tree." in text
    alts = [image["alt"] for image in page.all("img")]
    assert sum("Steering within 0.05: gap" in alt for alt in alts) == 2
    assert "Connected markers are steering with several values of max_gap" in text
    assert len(alts) == 7


def test_failures_are_reported_unless_every_method_failed(comparison):
    failures = {("logistic", "correlation_remover"): ("ValueError: <bad>",)}
    rest = {k: v for k, v in comparison.predictions.items() if k[1] != "correlation_remover"}
    made = dataclasses.replace(comparison, failures=failures, predictions=rest)
    text = Page(report_files(made, "x")["report.html"]).text
    assert "Failed: correlation_remover (logistic): ValueError: <bad>" in text
    with pytest.raises(NothingToReport, match="every method failed"):
        report_files(dataclasses.replace(comparison, predictions={}), "x")


def test_templates_are_shipped():
    for name in ("report.html", "report.css"):
        assert (resources("fairsteer.compare") / "templates" / name).is_file()


@pytest.fixture
def csv(tmp_path):
    table = make_table(n=160, groups=GROUPS[:2])
    frame = table.data.assign(s=table.groups, t=table.target.map({0: "no", 1: "yes"}))
    path = tmp_path / "my.csv"
    frame.to_csv(path, index=False)
    return path


def skip(*names):
    return [part for name in names for part in ("--skip", name)]


def arguments(csv, folder, *more):
    roles = ["--target", "t", "--sensitive", "s", "--folds", "2", "--output", str(folder)]
    return ["compare", str(csv), *roles, *skip(*QUICK), *more]


def test_the_command_writes_the_report_and_leaves_the_rest(csv, tmp_path, capsys):
    (tmp_path / "report.html").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    assert main(arguments(csv, tmp_path, *skip(*ONE_STEERING))) == 0
    assert sorted(os.listdir(tmp_path)) == sorted(["my.csv", "notes.txt", "results.csv", *FILES])
    assert (tmp_path / "notes.txt").read_text() == "mine"
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>")
    assert f"fairsteer compare {csv} --target t --sensitive s --folds 2" in Page(html).text
    err = capsys.readouterr().err.splitlines()
    assert err[-1] == f"fairsteer: wrote {tmp_path / 'report.html'}"


@pytest.mark.parametrize("name", ["matplotlib", "jinja2"])
def test_without_a_library_it_is_refused_before_the_work(name, csv, tmp_path, capsys, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == name else find(n))
    monkeypatch.setattr(command_line, "compare", lambda *_, **__: pytest.fail("it ran"))
    assert main(arguments(csv, tmp_path / "new")) == 2
    assert capsys.readouterr().err == (
        f'fairsteer: {name} is missing: pip install "fairsteer[compare]" brings it.\n'
    )
    assert not (tmp_path / "new").exists()


def test_a_folder_in_the_place_of_the_report_is_refused(csv, tmp_path, capsys):
    (tmp_path / "report.html").mkdir()
    assert main(arguments(csv, tmp_path)) == 2
    assert "report.html' is a folder: remove it or choose another" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["my.csv", "report.html"]


def test_when_every_method_fails_there_is_no_report(csv, tmp_path, capsys, monkeypatch):
    from fairsteer.compare import _methods as mitigators

    procedure = mitigators.SteeredClassifierCV

    def refuse(estimator, *, max_gap, **options):
        if max_gap is None:
            raise ValueError("cannot")
        return procedure(estimator, max_gap=max_gap, **options)

    monkeypatch.setattr(mitigators, "SteeredClassifierCV", refuse)
    only = [*skip(*ONE_STEERING, "unmitigated"), "--frontier"]
    assert main(arguments(csv, tmp_path / "out", *only)) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "fairsteer: there is no report: every method failed; the printed tables give the reasons."
    )
    assert "report.html" not in os.listdir(tmp_path / "out")
    assert "results.csv" in os.listdir(tmp_path / "out")
