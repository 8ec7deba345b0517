"""UCI Adult: who earns more than 50,000 dollars a year, 1994 census."""

import pandas as pd

from ._base import OriginalFile, check_sensitive, locate, make_bunch

_FOLDER = "https://archive.ics.uci.edu/ml/machine-learning-databases/adult/"
TRAINING = OriginalFile(
    "adult.data",
    _FOLDER + "adult.data",
    "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",
)
TEST = OriginalFile(
    "adult.test",
    _FOLDER + "adult.test",
    "a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05",
)

COLUMNS = [
    "age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation",
    "relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week",
    "native-country", "income",
]  # fmt: skip
FEATURES = [
    "age", "education-num", "capital-gain", "capital-loss", "hours-per-week", "workclass",
    "marital-status", "occupation", "relationship", "race", "sex",
]  # fmt: skip

_DESCR = """UCI Adult ("Census Income"), B. Becker and R. Kohavi (1996),
https://doi.org/10.24432/C5XW20, CC BY 4.0.

One row is one adult in the 1994 census of the United States; the label is whether the yearly
income is above 50,000 dollars. Numbers: age, education-num (years of schooling, coded),
capital-gain, capital-loss, hours-per-week. Categories: workclass, marital-status, occupation,
relationship, race, sex. The training part comes first, then the test part.

Conventions
-----------
"""


def fetch_adult(*, sensitive="sex", data_home=None):
    """Fetch UCI Adult: features, income above 50,000 dollars, and a sensitive attribute.

    The two original files are searched in `data_home`, else in the folder that the environment
    variable ``FAIRSTEER_DATA`` names, then in the user's cache folder, and are otherwise
    downloaded into the cache folder. Their SHA-256 is checked every time.

    Parameters
    ----------
    sensitive : {"sex", "race"}, default="sex"
        The sensitive attribute. As the attribute, race is White or Other; as a feature it keeps
        its five categories.
    data_home : str or path-like, optional
        A folder that holds ``adult.data`` and ``adult.test``; it is only read.

    Returns
    -------
    sklearn.utils.Bunch
        ``data`` : DataFrame of 45,222 rows and 11 columns, sensitive ones included: numbers
        are int64, categories strings. ``target`` : int64 Series ``income``, 1 above 50,000
        dollars. ``target_names`` : names of labels 0 and 1. ``sensitive_features`` : Series
        of strings. ``frame`` : data and target. ``feature_names`` : the columns of data.
        ``conventions`` : one sentence. ``DESCR`` : a description.

    Raises
    ------
    ValueError
        If `sensitive` is another name, or a file is not the original.
    FileNotFoundError
        If a file is in none of the folders and cannot be downloaded.
    """
    check_sensitive(sensitive, ("sex", "race"))
    rows = pd.concat(
        [_read(locate(TRAINING, data_home)), _read(locate(TEST, data_home), skiprows=1)],
        ignore_index=True,
    )
    known = rows[(rows != "?").all(axis=1)].reset_index(drop=True)
    data = known[FEATURES].copy()
    if sensitive == "race":
        data["race"] = data["race"].where(data["race"] == "White", "Other")
    target = (known["income"].str.rstrip(".") == ">50K").astype("int64")
    conventions = (
        f"UCI Adult, training and test part: of {len(rows):,} rows the {len(rows) - len(known):,} "
        f"with a `?` in any of the {len(COLUMNS)} columns are dropped and {len(known):,} are left; "
        "the favorable label (1) is an income above 50,000 dollars; the sensitive attribute is "
        + ("race, White against the rest" if sensitive == "race" else "sex")
        + "; fnlwgt, education and native-country are left out."
    )
    return make_bunch(
        data,
        target,
        sensitive,
        target_names=["<=50K", ">50K"],
        conventions=conventions,
        DESCR=_DESCR + conventions,
    )


def _read(path, skiprows=0):
    return pd.read_csv(
        path,
        header=None,
        names=COLUMNS,
        skiprows=skiprows,
        skipinitialspace=True,
        na_filter=False,
    )
