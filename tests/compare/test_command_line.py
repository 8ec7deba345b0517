import importlib.util
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

import fairsteer
from fairsteer.commands import _compare as compare_command
from fairsteer.commands import _output as command_line
from fairsteer.commands._main import main
from fairsteer.compare import _wording as words
from fairsteer.compare._report import FILES
from fairsteer.compare._run import COLUMNS
from fairsteer.compare._summaries import FRONTIER_COLUMNS

pytestmark = pytest.mark.slow


def skip(*names):
    return [part for name in names for part in ("--skip", name)]


QUICK = skip("exponentiated_gradient", "threshold_optimizer", "score_steering", "constant")
ONLY_UNMITIGATED = [*QUICK, *skip("steering", "correlation_remover")]
needs_data = [
    pytest.mark.data,
    pytest.mark.skipif("FAIRSTEER_DATA" not in os.environ, reason="FAIRSTEER_DATA is not set"),
]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Keep many tiny fits from waiting for threads that other processes hold up."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def csv(tmp_path):
    """Write a table of text, numbers and missing values."""
    rng = np.random.default_rng(1)
    n = 200
    sex = rng.choice(["f[x]", "m"], n)
    score = rng.normal(0.8 * (sex == "m"), 1)
    frame = pd.DataFrame(
        {
            "t": np.where(score + rng.normal(size=n) > 0.4, "good", "bad"),
            "s": np.where(rng.random(n) < 0.03, None, sex),
            "score": np.where(rng.random(n) < 0.1, np.nan, score),
            "city": rng.choice(["York", "Bath", None], n),
            "visits": np.where(rng.random(n) < 0.9, 0, rng.poisson(30, n)),
            "remark": [f"remark {i}" for i in range(n)],
            "open": rng.random(n) < 0.3,
        }
    )
    path = tmp_path / "my.csv"
    frame.to_csv(path, index=False)
    return path


def columns(csv, *more):
    return ["compare", str(csv), "--target", "t", "--sensitive", "s", *more]


def test_the_user_s_own_table(csv, tmp_path, capsys):
    folder = tmp_path / "new" / "deep"
    code = main(columns(csv, "--skip", "exponentiated_gradient", "--output", str(folder)))
    captured = capsys.readouterr()
    out, err = " ".join(captured.out.split()), captured.err
    assert code == 0
    assert "favorable t = good (the last of the sorted values)" in out
    assert "without target or sensitive value dropped" in out
    assert "Warning: text columns with many values are left out: 'remark'." in out
    assert f"fairsteer {fairsteer.__version__}, scikit-learn " in out
    assert "5-fold cross-validation, stratified on label and group, seed 0" in out
    assert "Failed" not in out
    # On few rows steering may find nothing to narrow.
    assert out.count("Warned") == out.count("No candidate narrows the gap beyond chance")
    assert "finished steering-equalized_odds (logistic)" in err
    results = pd.read_csv(folder / "results.csv")
    assert list(results) == list(COLUMNS)
    assert list(results["dataset"].unique()) == ["my"]
    assert len(results) == 12
    assert sorted(os.listdir(folder)) == sorted(["results.csv", *FILES])


def test_tables_are_plain_and_whole_in_a_pipe(csv, capsys):
    assert main(columns(csv, "--folds", "2")) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "…" not in out
    assert max(map(len, out.splitlines())) <= 100
    lines = [line.rstrip() for line in out.splitlines()]
    first, second = (i for i, line in enumerate(lines) if line.startswith(("Accuracy", "Who")))
    assert any(re.fullmatch(r"unmitigated( +[\d.]+){3}( +\.\d+ \(\.\d+\)){3} +[\d.]+", line)
               for line in lines[first:second])  # fmt: skip
    emphasised = [line for line in lines[first:second] if re.match(r"  equal.* \.\d+\*\(", line)]
    assert len(emphasised) == 8
    pays = [line for line in lines[second:] if re.match(r"  f\[x\] +\d+", line)]
    assert len(pays) == 15
    text = " ".join(out.split())
    assert all(re.search(r"\.\d{3} [-!]> 1?\.\d{3}", line) for line in pays[1:])
    assert "group of every row: steering, score_steering, correlation_remover, thresh" in text
    assert "fairsteer.SteeredClassifierCV" in text
    assert words.NOISE_FLOOR in text


def test_long_group_names_are_neither_cut_nor_folded_in_a_pipe(csv, capsys):
    frame = pd.read_csv(csv)
    name = "a name of a group that goes on and on and on, " * 3 + "indeed"
    frame.assign(s=frame["s"].replace("m", name)).to_csv(csv, index=False)
    assert main(columns(csv, *ONLY_UNMITIGATED)) == 0
    assert re.search(rf"\n  {name} +\d+ ", capsys.readouterr().out)


def test_leveling_down_is_marked_with_its_legend(csv, capsys, monkeypatch):
    from fairsteer.compare import _methods as mitigators

    class Refusal:
        """Predicts 0 for everybody."""

        def fit(self, data, y, *, sensitive_features):
            return self

        def predict(self, data, *, sensitive_features):
            return np.zeros(len(data), dtype=int), None

    monkeypatch.setattr(mitigators, "Steered", lambda *_: Refusal())
    assert main(columns(csv, *QUICK)) == 0
    out = capsys.readouterr().out
    assert re.search(r"m +\d+ +\.\d{3} !> \.000", out)
    assert f"!> marks leveling down: {words.LEVELING_DOWN}." in " ".join(out.split())


def test_repeats_show_their_spread(csv, capsys):
    assert main(columns(csv, *ONLY_UNMITIGATED, "--repeats", "2", "--folds", "3")) == 0
    out = capsys.readouterr().out
    assert "chooses among" not in out
    assert re.search(r"unmitigated .*\n    spread( +\.\d{3}){6}", out)
    assert "standard deviation over the repeats" in out
    assert "3-fold cross-validation, 2 repeats" in out


def test_without_unmitigated_there_is_no_before(csv, capsys):
    code = main(columns(csv, *QUICK, "--skip", "steering", "--skip", "unmitigated"))
    out = capsys.readouterr().out
    assert code == 0
    assert "->" not in out
    assert "unmitigated was not run" in out


def test_both_estimators_have_their_tables(csv, capsys):
    code = main(
        columns(csv, *ONLY_UNMITIGATED, "--estimator", "boosting", "--estimator", "logistic")
    )
    assert code == 0
    titles = re.findall(r"(?:Accuracy and gaps|Who pays), .*", capsys.readouterr().out)
    assert [title.strip() for title in titles] == [
        "Accuracy and gaps, gradient boosting",
        "Accuracy and gaps, logistic regression",
        "Who pays, gradient boosting",
        "Who pays, logistic regression",
    ]


def test_results_csv_replaces_an_old_one_and_leaves_the_rest(csv, tmp_path):
    (tmp_path / "results.csv").write_text("old")
    assert main(columns(csv, *ONLY_UNMITIGATED, "--output", str(tmp_path))) == 0
    assert (tmp_path / "results.csv").read_text().startswith("dataset,estimator,method,repeat,")
    assert sorted(os.listdir(tmp_path)) == sorted(["my.csv", "results.csv", *FILES])


def test_a_failed_method_is_named_below_the_table(csv, capsys, monkeypatch):
    from fairsteer.compare import _methods as mitigators

    def refuse(*_, **__):
        raise ValueError("cannot")

    monkeypatch.setattr(mitigators, "SteeredClassifierCV", refuse)
    assert main(columns(csv, *QUICK)) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert (
        "Failed: steering-equalized_odds (logistic), steering-equal_opportunity (logistic), "
        "steering-demographic_parity (logistic): ValueError: cannot" in out
    )
    only_steering = [*QUICK, *skip("unmitigated", "correlation_remover")]
    assert main(columns(csv, *only_steering)) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND; see fairsteer --help."),
        (["contrast"], "invalid choice: 'contrast'"),
        (["compare", "--estimator", "forest"], "invalid choice: 'forest'"),
        (["compare", "--folds", "many"], "invalid int value: 'many'; see fairsteer compare --help"),
        (["compare", "--folds", "1"], "(--folds) must be at least 2, not 1."),
        (["compare", "--folds", "200"], "every (label, group) subgroup needs at least 200 rows"),
        (["compare", "--repeats", "0"], "repeats must be at least 1, not 0."),
        (
            ["compare", "--skip", "nobody"],
            "there is no method 'nobody' to skip; there are unmitigated",
        ),
        (
            ["compare", "--skip", "steering", "--frontier"],
            "the frontier needs steering, which is skipped",
        ),
        (["compare", "--target", "x"], "target applies to your own files only"),
        (["compare", "adult", "--drop", "age"], "drop applies to your own files only"),
        (["compare", "compas", "--sensitive", "age"], "either sex or race, not 'age'."),
        (["compare", "none.csv"], "'none.csv' is neither a file nor one of the named tables"),
        (
            ["compare", "--sensitive", "sex", "my.csv", "--target", "y"],
            "'my.csv' is neither a file",
        ),
        (["compare", "--drop", "age", "T.CSV"], "'T.CSV' is neither a file nor"),
        (["compare", "--drop", "age", "sex", "T.CSV"], "unrecognized arguments: T.CSV"),
        (["compare", "--unknown"], "unrecognized arguments: --unknown"),
    ],
)
def test_bad_use_is_one_sentence_and_exit_code_2(arguments, message, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("fairsteer: ")
    assert message in err
    assert err.count("\n") == 1


def test_bad_use_of_a_csv(csv, capsys):
    assert main(["compare", str(csv)]) == 2
    assert "--target COLUMN and --sensitive COLUMN" in capsys.readouterr().err
    assert main(columns(csv, "--favorable", "best")) == 2
    assert "the values are 'bad' and 'good'" in capsys.readouterr().err


def test_the_table_may_be_anywhere_among_the_options(csv, capsys):
    options = ["--drop", "remark", "--target", "t", "--drop", "city", "--sensitive", "s"]
    options += [*ONLY_UNMITIGATED, "--folds", "2", "--favourable", "bad"]
    outputs = []
    for at in (0, 2, 6, len(options)):
        assert main(["compare", *options[:at], str(csv), *options[at:]]) == 0
        outputs.append(re.sub(r"[\d.]+\n", "", capsys.readouterr().out))
    assert "favorable t = bad, features: 2 numeric, 1 categorical" in " ".join(outputs[0].split())
    assert len(set(outputs)) == 1


def test_several_sensitive_columns_are_their_intersection(csv, capsys):
    sensitive = ["--sensitive", "s", "--sensitive", "open"]
    command = ["compare", str(csv), *sensitive, "--target", "t", *ONLY_UNMITIGATED]
    assert main([*command, "--folds", "2"]) == 0
    assert "Sensitive attribute: s & open (f[x] & False: " in capsys.readouterr().out


def test_missing_values_are_named_and_no_group_is_written_as_a_formula(csv, tmp_path, capsys):
    frame = pd.read_csv(csv)
    frame["s"] = frame["s"].replace("m", "=m").fillna("?")
    frame.to_csv(csv, index=False)
    folder = tmp_path / "out"
    options = ["--missing", "none", "--missing", "?", "--folds", "2", "--output", str(folder)]
    assert main(columns(csv, *ONLY_UNMITIGATED, *options)) == 0
    assert "Sensitive attribute: s (=m: " in capsys.readouterr().out
    groups = pd.read_csv(folder / "groups.csv")["group"]
    assert {"'=m", "f[x]"} <= set(groups)
    assert not any(groups.str.startswith("="))


def test_the_output_is_checked_before_the_work(csv, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(compare_command, "compare", lambda *_, **__: pytest.fail("it ran"))
    assert main(columns(csv, "--output", str(csv))) == 2
    assert "cannot be used: it is a file." in capsys.readouterr().err
    assert main(columns(csv, "--output", str(csv / "below"))) == 2
    assert "cannot be used: Not a directory." in capsys.readouterr().err

    (tmp_path / "o" / "results.csv").mkdir(parents=True)
    assert main(columns(csv, "--output", str(tmp_path / "o"))) == 2
    assert "results.csv' is a folder: remove it or choose another --output." in (
        capsys.readouterr().err
    )

    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(command_line.tempfile, "TemporaryFile", refuse)
    assert main(columns(csv, "--output", str(tmp_path))) == 2
    assert "cannot be used: Permission denied." in capsys.readouterr().err


def test_a_bad_table_creates_no_folder(csv, tmp_path):
    assert main(columns(csv, "--drop", "zzz", "--output", str(tmp_path / "new"))) == 2
    assert not (tmp_path / "new").exists()


def test_a_failed_write_leaves_nothing_half_written(tmp_path, monkeypatch):
    (tmp_path / "results.csv").write_text("old")

    def full(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(type(tmp_path), "replace", full)
    with pytest.raises(OSError, match="disk full"):
        command_line.write_atomically(tmp_path / "results.csv", "new")
    assert os.listdir(tmp_path) == ["results.csv"]
    assert (tmp_path / "results.csv").read_text() == "old"


def test_a_failed_write_comes_after_the_tables_and_is_one_sentence(
    csv, tmp_path, capsys, monkeypatch
):
    def full(path, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command_line, "write_atomically", full)
    assert main(columns(csv, *ONLY_UNMITIGATED, "--output", str(tmp_path))) == 1
    out, err = capsys.readouterr()
    assert "Who pays, logistic regression" in out
    assert err.splitlines()[-1] == (
        f"fairsteer: cannot write '{tmp_path / 'results.csv'}': No space left on device; "
        "choose another --output."
    )


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), SystemExit(1)], ids=["full", "closed pipe"]
)
def test_results_are_written_even_if_the_tables_cannot_be_printed(
    csv, tmp_path, capsys, monkeypatch, error
):
    def fail(*_):
        raise error

    monkeypatch.setattr("fairsteer.compare._terminal.show", fail)
    try:
        code = main(columns(csv, *ONLY_UNMITIGATED, "--output", str(tmp_path)))
    except SystemExit as done:
        code = done.code
    assert code == 1
    assert (tmp_path / "results.csv").is_file()
    if isinstance(error, OSError):
        assert "cannot print the tables: No space left on device; redirect them." in (
            capsys.readouterr().err
        )


FRONTIER = [
    *QUICK,
    *skip("steering-equal_opportunity", "steering-equalized_odds", "correlation_remover"),
    "--frontier",
]


def test_the_frontier_is_printed_saved_and_drawn_in_the_report(csv, tmp_path, capsys):
    folder = tmp_path / "out"
    assert main(columns(csv, *FRONTIER, "--repeats", "2", "--output", str(folder))) == 0
    out, err = capsys.readouterr()
    assert re.search(
        r"Frontier of demographic parity, logistic regression *\n"
        r"method +max_gap +accuracy +\+/- +demographic parity gap +\+/- +floor",
        out,
    )
    for allowed in ("floor", r"0\.02", r"0\.05", r"0\.1", r"0\.2"):
        assert re.search(rf"\nsteering +{allowed}( +\.\d{{3}}){{5}} *\n", out)
    assert re.search(r"\nunmitigated( +\.\d{3}){5} *\n", out)
    assert "+/-: the standard deviation over the repeats." in out
    assert "@" not in out
    assert max(map(len, out.splitlines())) <= 100
    assert sorted(os.listdir(folder)) == sorted(["frontier.csv", "results.csv", *FILES])
    assert "Steering within 0.05: gap" in (folder / "report.html").read_text("utf-8")
    frontier = pd.read_csv(folder / "frontier.csv")
    assert list(frontier) == list(FRONTIER_COLUMNS)
    assert frontier["method"].tolist() == ["steering"] * 5 + ["unmitigated"]
    results = pd.read_csv(folder / "results.csv")
    assert list(results) == list(COLUMNS)
    assert len(results) == 2 * (2 + 4)
    assert f"wrote {folder / 'frontier.csv'}" in err


def test_the_frontier_without_output_says_how_to_keep_it(csv, capsys):
    find = importlib.util.find_spec
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda n: None if n == "matplotlib" else find(n))
        assert main(columns(csv, *FRONTIER, "--folds", "2")) == 0
        out, err = capsys.readouterr()
        assert re.search(r"\nmethod +max_gap +accuracy +demographic parity gap +floor", out)
        assert "+/-" not in out
        assert err.startswith(
            "fairsteer: --output DIR saves the frontier as a table and as figures of the report.\n"
        )
        assert main(columns(csv, *FRONTIER, "--output", "somewhere")) == 2
    assert capsys.readouterr().err == (
        'fairsteer: matplotlib is missing: pip install "fairsteer[compare]" brings it.\n'
    )


def test_what_fails_with_one_gap_only_is_reported(csv, capsys, monkeypatch):
    from fairsteer.compare import _methods as mitigators

    def refuse(estimator, *, constraint, max_gap, random_state):
        raise ValueError("cannot" if max_gap in (None, 0.05) else "will not")

    monkeypatch.setattr(mitigators, "SteeredClassifierCV", refuse)
    assert main(columns(csv, *FRONTIER, "--folds", "2")) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Failed: steering-demographic_parity (logistic): ValueError: cannot" in out
    assert "@0.1 (logistic), steering-demographic_parity@0.2 (logistic): ValueError: will" in out
    assert "@0.05" not in out


def test_a_frontier_of_failures_is_printed_and_not_saved(csv, tmp_path, capsys, monkeypatch):
    from fairsteer.compare import _methods as mitigators

    def refuse(*_, **__):
        raise ValueError("cannot")

    monkeypatch.setattr(mitigators, "SteeredClassifierCV", refuse)
    assert (
        main(columns(csv, *FRONTIER, *skip("unmitigated"), "--output", str(tmp_path / "out"))) == 1
    )
    out, err = capsys.readouterr()
    assert re.search(r"\nsteering +0\.05 +- +- +- *\n", out)
    assert err.splitlines()[-1] == "fairsteer: every method failed; no file is written."
    assert os.listdir(tmp_path / "out") == []


def test_version_and_help(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"fairsteer {fairsteer.__version__}\n"
    assert main(["compare", "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: fairsteer compare [TABLE] [options]\n")
    names = "target sensitive favorable favourable drop estimator repeats folds seed jobs skip"
    for name in (*names.split(), "frontier", "output"):
        assert f"--{name}" in out


def test_without_rich_the_extra_is_named(capsys, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "rich" else find(n))
    assert main(["compare"]) == 2
    assert 'pip install "fairsteer[compare]"' in capsys.readouterr().err
    assert main(["--version"]) == 0


def test_ctrl_c_is_no_traceback(csv, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(compare_command, "compare", interrupt)
    assert main(columns(csv)) == 130
    assert capsys.readouterr().err == "fairsteer: interrupted.\n"


def test_as_a_process():
    """The installed way: the embedded table, UTF-8 not needed, one real interpreter."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "fairsteer", "compare", *QUICK, "--folds", "2"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"Who pays, logistic regression" in done.stdout
    assert done.stdout.isascii()
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("name", [
    pytest.param("compas", marks=needs_data),
])  # fmt: skip
def test_an_original_table(name, capsys):
    assert main(["compare", name, *ONLY_UNMITIGATED, "--folds", "2", "--sensitive", "sex"]) == 0
    assert "no recidivism" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (["compare", ""], "empty"),
        (["compare", "--output", ""], "empty"),
        (["compare", "--output", "a" * 300], "File name too long"),
    ],
)
def test_names_that_no_file_can_have_are_refused(arguments, fact, capsys):
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert fact in capsys.readouterr().err
