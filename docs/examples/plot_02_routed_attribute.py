"""
The attribute beside the table
==============================

If the sensitive attribute must not be a column of ``X``, pass it as ``sensitive_features=``.
Inside a pipeline this uses scikit-learn's metadata routing, which has to be enabled. The
transformer requests the attribute by default; no ``set_fit_request`` is needed.
"""

import matplotlib.pyplot as plt
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairsteer import OptimalSteeringTransformer
from fairsteer.datasets import load_diabetes_progression
from fairsteer.metrics import fairness_report

diabetes = load_diabetes_progression()
features, sex, y = diabetes.data.drop(columns="sex"), diabetes.sensitive_features, diabetes.target

with sklearn.config_context(enable_metadata_routing=True):
    routed = make_pipeline(StandardScaler(), OptimalSteeringTransformer(), LogisticRegression())
    routed.fit(features, y, sensitive_features=sex)
    predicted = routed.predict(features, sensitive_features=sex)

# %%
# The same with the attribute as a column. ``StandardScaler`` would also scale this column, so the
# transformer comes first; steering does not depend on the scale of the features.

column = make_pipeline(OptimalSteeringTransformer("sex"), StandardScaler(), LogisticRegression())
column.fit(diabetes.data, y)
print("share of equal predictions:", (column.predict(diabetes.data) == predicted).mean())

# %%
# A row without its attribute raises an error:

with sklearn.config_context(enable_metadata_routing=True):
    try:
        routed.predict(features)
    except ValueError as error:
        print(error)

# %%
# The report takes the same attribute.

report = fairness_report(y, predicted, sensitive_features=sex)
ax = report.drop(index="gap")[["selection_rate", "tpr", "fpr"]].T.plot.bar(
    rot=0, color=["#0072B2", "#D55E00"], xlabel="rate", ylabel="share of the group's rows"
)
ax.legend(title="sex", frameon=False)
plt.tight_layout()
