"""Turn any features into a finite output: the leaves of a small tree."""

from __future__ import annotations

from numbers import Integral
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted, validate_data

from fairsteer import _validation as check


class TreeBins(TransformerMixin, BaseEstimator):
    """Replace features by the leaf of a classification tree, one of a few integers.

    After a steering, all that a classifier can learn is in the leaf, so that
    :func:`fairsteer.certify.certify` can bound the gap of every classifier of it.

    Parameters
    ----------
    max_bins : int, default=16
        Largest number of leaves. Fewer leaves have a smaller bound and say less about the label.
    min_samples_leaf : int, default=20
        Smallest number of training rows of a leaf.
    random_state : int, RandomState or None, default=None
        Chooses among splits that are equally good.

    Attributes
    ----------
    tree_ : DecisionTreeClassifier
        The fitted tree.
    n_outputs_ : int
        Number of leaves.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, where X has them.
    training_digest_ : str
        Digest of the training table, which :func:`fairsteer.certify.certify` refuses.

    Examples
    --------
    >>> import numpy as np
    >>> from fairsteer.estimators import TreeBins
    >>> X, y = np.arange(100.0)[:, None], np.arange(100) >= 60
    >>> TreeBins(max_bins=4).fit(X, y).transform([[10.0], [90.0]]).ravel().tolist()
    [0, 1]
    """

    _parameter_constraints: ClassVar[dict] = {
        "max_bins": [Interval(Integral, 2, None, closed="left")],
        "min_samples_leaf": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(self, max_bins=16, *, min_samples_leaf=20, random_state=None):
        self.max_bins = max_bins
        self.min_samples_leaf = min_samples_leaf
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None):
        """Grow the tree.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Numbers.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.

        Returns
        -------
        TreeBins
            The fitted transformer.
        """
        self._validate_params()
        features, labels = validate_data(self, X, y)
        tree = DecisionTreeClassifier(
            max_leaf_nodes=self.max_bins,
            min_samples_leaf=self.min_samples_leaf,
            random_state=self.random_state,
        ).fit(features, labels, sample_weight=sample_weight)
        leaves = np.flatnonzero(tree.tree_.children_left == -1)
        # Ascending in the share of the last label, so that a linear model can use the number.
        shares = tree.tree_.value[leaves, 0, -1]
        ranks = np.zeros(tree.tree_.node_count, dtype=np.int64)
        ranks[leaves[np.argsort(shares, kind="stable")]] = np.arange(len(leaves))
        self.tree_, self._ranks, self.n_outputs_ = tree, ranks, len(leaves)
        self.training_digest_ = check.digest_table(X)
        return self

    def transform(self, X):
        """Return the leaf of each row.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Numbers.

        Returns
        -------
        ndarray of int of shape (n, 1)
            In ascending order of the share of the last label.
        """
        check_is_fitted(self)
        features = validate_data(self, X, reset=False)
        return self._ranks[self.tree_.apply(features)][:, None]

    def get_feature_names_out(self, input_features=None):
        """Return the name of the output, ``bin``.

        Parameters
        ----------
        input_features : ignored
            Present for the scikit-learn interface.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        return np.array(["bin"], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []
        return tags
