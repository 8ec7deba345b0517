"""The diabetes data that come with scikit-learn: no download, no network."""

from sklearn.datasets import load_diabetes

from ._base import make_bunch

_DESCR = """Diabetes data of B. Efron, T. Hastie, I. Johnstone and R. Tibshirani (2004), "Least
Angle Regression", as bundled with scikit-learn (``load_diabetes(scaled=False)``).

One row is one diabetes patient: age, sex, body mass index, blood pressure and six blood serum
measurements, and a measure of disease progression one year later. The file codes sex as 1 and 2
and does not say which is which; the codes are kept as they are.

Conventions
-----------
"""


def load_diabetes_progression():
    """Load scikit-learn's diabetes data with sex as the sensitive attribute.

    Returns
    -------
    sklearn.utils.Bunch
        ``data`` : DataFrame of 442 rows and 10 columns, ``sex`` included: float64, sex int64 with
        the file's codes 1 and 2 (the file does not say which is which). ``target`` : int64
        Series ``progression_above_median``, 1 above the median. ``target_names`` : names of labels
        0 and 1. ``sensitive_features`` : int64 Series ``sex``. ``frame`` : data and target.
        ``feature_names`` : the columns of data. ``conventions`` : one sentence. ``DESCR`` : a
        description.

    Examples
    --------
    >>> from fairsteer.datasets import load_diabetes_progression
    >>> diabetes = load_diabetes_progression()
    >>> diabetes.data.shape
    (442, 10)
    """
    original = load_diabetes(as_frame=True, scaled=False)
    median = original.target.median()
    above = (original.target > median).astype("int64").rename("progression_above_median")
    conventions = (
        f"scikit-learn's diabetes data, unscaled: no row is dropped and {len(above)} are kept; the "
        f"positive label (1) is progression above the median of {median:g}, which is not a good "
        "outcome for the patient; the sensitive attribute is sex, which the file codes as 1 and 2 "
        "without saying which is which."
    )
    return make_bunch(
        original.data.astype({"sex": "int64"}),
        above,
        "sex",
        target_names=["at or below the median", "above the median"],
        conventions=conventions,
        DESCR=_DESCR + conventions,
    )
