"""
Steer the score
===============

What features say about a yes-or-no label is one number, the score of a classifier.
``ScoreSteering`` fits the classifier and moves its score, so that given the label the score has one
distribution in every group. No distribution of the features is assumed, and no label is needed for
new rows.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from fairsteer import ScoreSteering
from fairsteer.metrics import fairness_gaps, noise_floor
from fairsteer.plotting import RocDisplay

rng = np.random.default_rng(0)
n = 40_000
group = rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2])
place = pd.Series(group).map({"a": 0, "b": 1, "c": 2}).to_numpy()
y = (rng.random(n) < 0.5 - 0.1 * place).astype(int)
table = pd.DataFrame(
    {
        "test": np.rint(rng.normal(50 + 12 * y - 4 * place, 10 + 3 * place)),
        "years": rng.poisson(3 + 2 * y * (2 - place)),
        "school": np.where(rng.random(n) < 0.3 + 0.2 * y - 0.1 * place, "north", "south"),
        "group": group,
    }
)
train, test = slice(0, n // 2), slice(n // 2, n)

# %%
# The score is a column that any classifier can follow. ``fit_transform`` scores each training row
# by a model of other rows, because the score of a row that was fitted on is too certain.

steering = ScoreSteering(LogisticRegression(), "group", random_state=0)
scores = steering.fit_transform(table[train], y[train], row_ids=table.index[train])
model = LogisticRegression().fit(scores, y[train])
new = steering.transform(table[test], row_ids=table.index[test])
predicted = model.predict(new)

plain = ScoreSteering(LogisticRegression(), "group", random_state=0)
before = (plain.fit(table[train], y[train]).estimator_scores(table[test]) > 0).astype(int)
for name, decisions in (("unsteered", before), ("steered", predicted)):
    gap = fairness_gaps(y[test], decisions, sensitive_features=group[test])["equalized_odds"]
    accuracy = np.mean(decisions == y[test])
    print(f"{name}: accuracy {accuracy:.3f}, equalized odds gap {gap:.3f}")
floor = noise_floor(y[test], predicted, sensitive_features=group[test])["equalized_odds"]
print(f"by chance alone: {floor:.3f}")

# %%
# The curve of a group says all about the decisions that its score supports. After steering all
# groups have their lower envelope: what every group can reach.

display = RocDisplay.from_estimator(steering, table[test], y[test], row_ids=table.index[test])
display.ax_.set_title("Curves of the score (training rows), and after steering (new rows)")
plt.show()
