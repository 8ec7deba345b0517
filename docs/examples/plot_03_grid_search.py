"""
Grid search for accuracy and a gap
==================================

``make_fairness_scorer`` turns any fairlearn metric into a scorer that also works if the attribute
is routed. ``most_accurate_within`` is a rule for ``refit=``: it selects the most accurate of the
candidates whose gap is within a limit.
"""

import matplotlib.pyplot as plt
import pandas as pd
from fairlearn.metrics import equalized_odds_difference
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from fairsteer import OptimalSteeringTransformer
from fairsteer.datasets import load_diabetes_progression
from fairsteer.metrics import make_fairness_scorer, most_accurate_within

diabetes = load_diabetes_progression()
X, y = diabetes.data, diabetes.target

model = Pipeline(
    [
        ("steer", OptimalSteeringTransformer("sex")),
        ("scale", StandardScaler()),
        ("classify", LogisticRegression()),
    ]
)
search = GridSearchCV(
    model,
    {
        "steer__constraint": ["equalized_odds", "equal_opportunity"],
        "steer__strength": [0, 0.5, 1],
        "classify__C": [0.01, 1],
    },
    scoring={
        "accuracy": "accuracy",
        "gap": make_fairness_scorer(equalized_odds_difference, sensitive_feature_ids="sex"),
    },
    refit=most_accurate_within(0.15),
    cv=StratifiedKFold(3, shuffle=True, random_state=0),
)
search.fit(X, y)
print(search.best_params_)

# %%
# A gap is a loss, so its score is minus the gap. The folds are small, and a gap measured on few
# rows tends to exceed the true gap.

results = pd.DataFrame(search.cv_results_)
results["mean_gap"] = -results["mean_test_gap"]
columns = [*results.filter(like="param_").columns, "mean_test_accuracy", "mean_gap"]
results[columns].sort_values("mean_gap").round(3)

# %%
# The selected candidate is circled; the dotted line is the limit.

fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
looks = {0: ("#000000", "o"), 0.5: ("#D55E00", "s"), 1: ("#0072B2", "^")}
for strength, rows in results.groupby("param_steer__strength"):
    color, marker = looks[strength]
    label = f"strength {strength:g}"
    ax.plot(rows["mean_gap"], rows["mean_test_accuracy"], marker, color=color, label=label)
best = results.loc[search.best_index_]
ax.plot(best["mean_gap"], best["mean_test_accuracy"], "o", ms=16, mfc="none", mec="black")
ax.axvline(0.15, color="black", linewidth=0.8, linestyle="dotted")
ax.set_xlabel("equalized odds gap, mean over the folds")
ax.set_ylabel("accuracy, mean over the folds")
ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.02, 1.0))
