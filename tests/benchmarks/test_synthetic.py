"""The synthetic study runs, and its results have the findings of its page."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
IDEAL = (
    "label_matching_reweighed",
    "affirmative_whitened",
    "affirmative_affine",
    "all_subgroups_whitened",
    "all_subgroups_affine",
)
NOT_IDEAL = (
    "unmitigated",
    "reweighing",
    "mean_matching",
    "mean_matching_reweighed",
    "mimic",
    "mimic_reweighed",
)


def load_script():
    path = ROOT / "benchmarks" / "synthetic.py"
    spec = importlib.util.spec_from_file_location("synthetic_benchmark", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


synthetic = load_script()


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Folder with the csv and the png of a quick run."""
    folder = tmp_path_factory.mktemp("synthetic")
    synthetic.main(["--quick", "--output", str(folder), "--figures", str(folder)])
    return folder


@pytest.fixture(scope="module", params=["quick", "committed"])
def results(request):
    """Rows of a quick run, and of the full run that the page shows."""
    if request.param == "committed":
        return pd.read_csv(ROOT / "benchmarks" / "results" / "synthetic.csv")
    return pd.read_csv(request.getfixturevalue("quick") / "synthetic-quick.csv")


def kl_by_intervention(results):
    apart = results[results.separation > 0]
    return apart.pivot(
        index=["law", "seed", "separation"], columns="intervention", values="kl"
    ).sort_index()


def test_quick_run_writes_every_row_and_a_figure(quick):
    results = pd.read_csv(quick / "synthetic-quick.csv")
    assert len(results) == 2 * 2 * len(synthetic.NAMES)
    assert np.isfinite(results.select_dtypes("number")).all(axis=None)
    assert (quick / "synthetic-quick.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("gap", synthetic.GAPS)
def test_ideal_interventions_reach_gap_zero(results, gap):
    rows = results[results.intervention.isin(IDEAL)]
    assert (rows[gap] <= 1e-10 + synthetic.NOISE * rows[f"{gap}_se"]).all()
    assert rows.ideal_gap.max() < 1e-7
    assert rows.prior_gap.max() < 1e-12


@pytest.mark.parametrize("intervention", NOT_IDEAL)
def test_other_interventions_do_not(results, intervention):
    rows = results[(results.intervention == intervention) & (results.separation > 0)]
    assert (rows.equalized_odds > 0.01 + synthetic.NOISE * rows.equalized_odds_se).any()
    assert (rows.equalized_odds > synthetic.NOISE * rows.equalized_odds_se).all()
    assert rows.ideal_gap.min() > 0.05


def test_reweighing_suffices_where_only_priors_differ(results):
    rows = results[(results.intervention == "reweighing") & (results.separation == 0)]
    assert (rows.equalized_odds <= 1e-10 + synthetic.NOISE * rows.equalized_odds_se).all()
    assert rows.ideal_gap.max() < 1e-10


def test_marginal_maps_leave_every_gap_where_it_was(results):
    for gap in ("demographic_parity", "equalized_odds"):
        index = ["law", "seed", "separation"]
        wide = results.pivot(index=index, columns="intervention", values=gap)
        noise = results.pivot(index=index, columns="intervention", values=f"{gap}_se")
        for mapped, plain in (("mimic", "unmitigated"), ("mimic_reweighed", "reweighing")):
            tolerance = synthetic.NOISE * np.hypot(noise[mapped], noise[plain])
            assert ((wide[mapped] - wide[plain]).abs() <= 1e-10 + tolerance).all()


def test_all_subgroups_has_the_smaller_divergence(results):
    kl = kl_by_intervention(results)
    for conditions in ("affine", "whitened"):
        assert (kl[f"all_subgroups_{conditions}"] < 0.99 * kl[f"affirmative_{conditions}"]).all()


def test_weaker_conditions_have_the_smaller_divergence(results):
    kl = kl_by_intervention(results)
    several = kl.loc["multivariate"]
    for intervention in ("affirmative", "all_subgroups"):
        affine, whitened = kl[f"{intervention}_affine"], kl[f"{intervention}_whitened"]
        assert (affine <= whitened * (1 + 1e-5)).all()
        better = several[f"{intervention}_affine"] < 0.95 * several[f"{intervention}_whitened"]
        assert better.all()
    assert (kl.affirmative_whitened < kl.label_matching_reweighed).all()


def test_matching_means_costs_more_than_the_optimum_and_still_misses(results):
    kl = kl_by_intervention(results)
    assert (kl.mean_matching_reweighed > kl.affirmative_affine).all()
