"""The closed form for class-shared covariances against many numerical restarts."""

import numpy as np
import pytest

from fairsteer import nearest_ideal
from tests.conftest import tied_gaussians

pytestmark = pytest.mark.slow

SHAPES = [(2, 2), (3, 5), (5, 3), (2, 10), (4, 8), (5, 5), (3, 2), (3, 12), (2, 20), (5, 20)]


@pytest.mark.parametrize("seed", range(50))
def test_closed_form_equals_the_best_of_twenty_restarts(seed):
    n_labels, d = SHAPES[seed % len(SHAPES)]
    gaussians = tied_gaussians(n_labels, 2, d, seed)
    closed = nearest_ideal(gaussians, solver="tied")
    numerical = nearest_ideal(gaussians, solver="affine", n_init=20, random_state=seed)
    assert closed.kl_divergence == pytest.approx(numerical.kl_divergence, abs=1e-8)
    assert closed.optimality < 1e-8
    assert np.isfinite(closed.group_maps.matrix).all()
