"""What can be certified of a fitted transformer."""

from __future__ import annotations

import numpy as np

from fairsteer.core.certificates import estimated_certificates, proved_certificates
from fairsteer.core.gaussians import gaussians_from_moments, minimum_rows
from fairsteer.core.groups import UNKNOWN

CERTIFICATE_DRAWS = 5_000


def certificates_of(steering):
    """Return the certificates of a fitted transformer, by constraint; see its ``certificate_``."""
    mover, constraint = steering._mover, steering._constraint
    fitted, ideal = steering.distribution_, steering.ideal_
    if fitted.n_groups == 1 or np.any(steering._law_of_group[:-1] == UNKNOWN):
        return {}
    unknown_group = steering._allowed["allow_missing"]
    other_draws = mover.label_strategy in ("map", "sample")
    if unknown_group or (steering._quantiles == "group" and mover.strength < 1.0):
        return {}
    if other_draws and constraint == "equalized_odds":
        return {}
    maps = steering.maps_.partial(mover.strength)
    group_maps = steering.group_maps_.partial(mover.strength)
    reference = fitted.group_index(steering.reference_group_)
    positive = steering.classes_.tolist().index(steering.pos_label_)
    draws = {"n_samples": CERTIFICATE_DRAWS, "random_state": steering._seed}
    own = {}
    if constraint == "equal_opportunity":
        proved = proved_certificates(fitted, group_maps, ideal, 0)
        own = {"equal_opportunity": proved["equal_opportunity"]}
    law = law_of_cells(steering.classes_, fitted.groups, steering._moments, steering._estimation)
    if law is None:
        return own
    if constraint != "equalized_odds":
        # One affine map per group: the mapped law is known, and compared with the reference's.
        law = law.pushed(group_maps)
        ideal = law.like_group(reference)
        return estimated_certificates(law, None, ideal, reference, positive, **draws) | own
    if mover.label_strategy == "none":
        return proved_certificates(law, group_maps, ideal, positive)
    return estimated_certificates(law, maps, ideal, reference, positive, **draws)


def law_of_cells(classes, groups, moments, estimation):
    """Return the law of every label and group, None where a cell is too small for one."""
    if moments[0].min() < minimum_rows(n_features=moments[1].shape[-1], **estimation):
        return None
    return gaussians_from_moments(classes, groups, *moments, **estimation)
