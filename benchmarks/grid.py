"""A grid search on Adult over steering and classifier: 24 configurations, 3 folds, two objectives.

    FAIRSTEER_DATA=folder python benchmarks/grid.py [--jobs 2] [--eps 0.03]

Every fit is announced as it starts and ends, "[CV 2/3; 5/24]" being the second fold of the fifth
configuration. Then come the most accurate configurations, those within the gap first, and what the
chosen one does on the third of the rows that the search has not seen, beside the same without
steering.
"""

from __future__ import annotations

import argparse
import time

import pandas as pd
from fairlearn.metrics import equalized_odds_difference
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline

from fairsteer import OptimalSteeringTransformer, SteeredClassifier
from fairsteer.datasets import fetch_adult
from fairsteer.estimators._table_encoding import TargetOrder
from fairsteer.metrics import make_fairness_scorer, most_accurate_within

FOLDS = 3
SHOWN = 6
STEERING, CLASSIFIER = "classify__steering__", "classify__estimator__"
GRID = {
    f"{STEERING}constraint": ["equalized_odds", "equal_opportunity"],
    f"{STEERING}strength": [0.0, 0.5, 1.0],
    f"{CLASSIFIER}learning_rate": [0.05, 0.1],
    f"{CLASSIFIER}max_leaf_nodes": [15, 31],
}


def make_search(data, sensitive, eps=0.03, jobs=2) -> GridSearchCV:
    """Make the unfitted search for a table of mixed columns with the attribute among them.

    Parameters
    ----------
    data : DataFrame of shape (n, d)
        The table; no model is fitted on it.
    sensitive : str
        The column of the attribute.
    eps : float, default=0.03
        The largest gap that is accepted.
    jobs : int, default=2
        Parallel processes.

    Returns
    -------
    GridSearchCV
        The search.
    """
    others = [name for name in data if name != sensitive]
    order = ColumnTransformer(
        [("order", TargetOrder(), others), ("attribute", "passthrough", [sensitive])],
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    steering = OptimalSteeringTransformer(
        sensitive, family="copula", conditions="identical", priors="independent", random_state=0
    )
    boosting = HistGradientBoostingClassifier(max_iter=80, random_state=0)
    gap = make_fairness_scorer(equalized_odds_difference, sensitive_feature_ids=sensitive)
    return GridSearchCV(
        Pipeline([("order", order), ("classify", SteeredClassifier(boosting, steering))]),
        GRID,
        scoring={"accuracy": "accuracy", "gap": gap},
        refit=most_accurate_within(eps),
        cv=StratifiedKFold(FOLDS, shuffle=True, random_state=0),
        n_jobs=jobs,
        verbose=10,
        error_score="raise",
    )


def ranking(search, eps) -> pd.DataFrame:
    """Return the configurations of a fitted search: within the gap first, then by accuracy.

    Parameters
    ----------
    search : GridSearchCV
        Fitted.
    eps : float
        The largest gap that is accepted.

    Returns
    -------
    DataFrame
        Parameters, mean accuracy, mean gap, whether it is within, and seconds of a fit.
    """
    results = search.cv_results_
    table = pd.DataFrame(results["params"])
    table.columns = [name.rpartition("__")[2] for name in table]
    table["accuracy"] = results["mean_test_accuracy"]
    table["gap"] = -results["mean_test_gap"]
    table["within"] = table["gap"] <= eps
    table["seconds"] = results["mean_fit_time"]
    return table.sort_values(["within", "accuracy"], ascending=False)


def held_out(search, train, test, sensitive) -> pd.DataFrame:
    """Measure the chosen model, and the same without steering, on rows the search has not seen.

    Parameters
    ----------
    search : GridSearchCV
        Fitted.
    train, test : tuple of DataFrame and Series
        Rows and labels.
    sensitive : str
        The column of the attribute.

    Returns
    -------
    DataFrame
        Accuracy and equalized-odds gap, one row per model.
    """
    none = {f"{STEERING}strength": 0.0, f"{STEERING}priors": "keep"}
    plain = clone(search.best_estimator_).set_params(**none).fit(*train)
    X, y = test
    rows = {}
    for name, model in (("without steering", plain), ("chosen", search.best_estimator_)):
        predicted = model.predict(X)
        rows[name] = {
            "accuracy": accuracy_score(y, predicted),
            "gap": equalized_odds_difference(y, predicted, sensitive_features=X[sensitive]),
        }
    return pd.DataFrame(rows).T


def run(table, eps=0.03, jobs=2) -> None:
    """Search, and print the best configurations, the held-out rows and the time.

    Parameters
    ----------
    table : Bunch
        ``data``, ``target`` and ``sensitive_features``, as the loaders return it.
    eps : float, default=0.03
        The largest gap that is accepted.
    jobs : int, default=2
        Parallel processes.
    """
    sensitive = table.sensitive_features.name
    cells = table.sensitive_features.astype(str) + table.target.astype(str)
    X, X_new, y, y_new = train_test_split(
        table.data, table.target, test_size=1 / 3, random_state=0, stratify=cells
    )
    start = time.perf_counter()
    search = make_search(X, sensitive, eps, jobs).fit(X, y)
    seconds = time.perf_counter() - start
    best = ranking(search, eps)
    print(f"\nThe best of {len(best)} configurations on {len(X):,} rows (gap at most {eps}):")
    print(best.head(SHOWN).round(3).to_string(index=False))
    print(f"\nOn {len(X_new):,} rows held out:")
    print(held_out(search, (X, y), (X_new, y_new), sensitive).round(3).to_string())
    print(f"\n{len(best) * FOLDS} fits and the last one in {seconds:.0f} s, {jobs} processes.")


def main(arguments=None) -> None:
    """Run it on Adult, sensitive attribute sex."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2, help="parallel processes")
    parser.add_argument("--eps", type=float, default=0.03, help="the largest gap accepted")
    options = parser.parse_args(arguments)
    run(fetch_adult(), options.eps, options.jobs)


if __name__ == "__main__":
    main()
