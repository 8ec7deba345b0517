"""ProPublica's COMPAS: who was charged with a new crime within two years."""

import pandas as pd

from ._base import OriginalFile, check_sensitive, locate, make_bunch

SCORES = OriginalFile(
    "compas-scores-two-years.csv",
    "https://raw.githubusercontent.com/propublica/compas-analysis/"
    "bafff5da3f2e45eca6c2d5055faad269defd135a/compas-scores-two-years.csv",
    "c451db85908b2f7fef1d83203bedf6b71ecda0d5af468d82ae62178f91d0cc7d",
)

FEATURES = [
    "age", "priors_count", "juv_fel_count", "juv_misd_count", "juv_other_count",
    "c_charge_degree", "race", "sex",
]  # fmt: skip
_FILTER = ["days_b_screening_arrest", "is_recid", "two_year_recid"]

_DESCR = """COMPAS, J. Larson, S. Mattu, L. Kirchner and J. Angwin, ProPublica (2016),
https://github.com/propublica/compas-analysis.

One row is one person screened in Broward County, Florida, in 2013 or 2014; the label is whether
no new crime was recorded within two years. Numbers: age, priors_count, juv_fel_count,
juv_misd_count, juv_other_count. Categories: c_charge_degree (F felony, M misdemeanour), race,
sex.

Conventions
-----------
"""


def fetch_compas(*, sensitive="race", data_home=None):
    """Fetch COMPAS: features, no recidivism within two years, and a sensitive attribute.

    The original file is searched in `data_home`, else in the folder that the environment
    variable ``FAIRSTEER_DATA`` names, then in the user's cache folder, and is otherwise
    downloaded into the cache folder. Its SHA-256 is checked every time.

    Parameters
    ----------
    sensitive : {"race", "sex"}, default="race"
        The sensitive attribute; the rows are the same for both.
    data_home : str or path-like, optional
        A folder that holds ``compas-scores-two-years.csv``; it is only read.

    Returns
    -------
    sklearn.utils.Bunch
        ``data`` : DataFrame of 5,278 rows and 8 columns, sensitive ones included: numbers
        are int64, categories strings. ``target`` : int64 Series ``no_recidivism``, 1 if no new
        crime was recorded. ``target_names`` : names of labels 0 and 1. ``sensitive_features`` :
        Series of strings. ``frame`` : data and target. ``feature_names`` : the columns of data.
        ``conventions`` : one sentence. ``DESCR`` : a description.

    Raises
    ------
    ValueError
        If `sensitive` is another name, or the file is not the original.
    FileNotFoundError
        If the file is in none of the folders and cannot be downloaded.
    """
    check_sensitive(sensitive, ("race", "sex"))
    # pandas reads the string N/A as missing; only an empty number of days is.
    rows = pd.read_csv(
        locate(SCORES, data_home),
        usecols=FEATURES + _FILTER,
        keep_default_na=False,
        na_values={"days_b_screening_arrest": [""]},
    )
    screened = rows[
        rows["days_b_screening_arrest"].between(-30, 30)
        & (rows["is_recid"] != -1)
        & (rows["c_charge_degree"] != "O")
    ]
    kept = screened[screened["race"].isin(["African-American", "Caucasian"])]
    kept = kept.reset_index(drop=True)
    target = (kept["two_year_recid"] == 0).astype("int64").rename("no_recidivism")
    conventions = (
        f"COMPAS, two-year recidivism: of {len(rows):,} rows ProPublica's filter (screened within "
        "30 days of the arrest, recidivism known, no ordinary traffic offence) drops "
        f"{len(rows) - len(screened):,} and leaves {len(screened):,}, of which the {len(kept):,} "
        "of African-American and Caucasian people are kept; the favorable label (1) is no "
        f"recidivism within two years; the sensitive attribute is {sensitive}."
    )
    return make_bunch(
        kept[FEATURES].copy(),
        target,
        sensitive,
        target_names=["recidivism", "no recidivism"],
        conventions=conventions,
        DESCR=_DESCR + conventions,
    )
