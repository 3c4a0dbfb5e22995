# SPDX-License-Identifier: BSD-3-Clause
"""nilearn 0.14.1 and groupglm on the same input, where they differ on purpose: permutation.

One test an entry of reference.differences, of its name.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from nilearn.maskers import NiftiMasker
from nilearn.mass_univariate import permuted_ols as nilearn_permuted

from groupglm import permuted_ols
from reference import clusters
from reference.oracle import FLOAT32, N_IMAGES, SHAPE, brain, image, mask_image


def both(inside: Any, tfce: Any, n_perm: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """One-sample tests of smooth data in a mask, by us and by nilearn."""
    rng = np.random.default_rng(4)
    Y = rng.normal(0.4, 1, (N_IMAGES, *SHAPE))[:, inside]
    masker = NiftiMasker(mask_img=mask_image(inside), standardize=None)
    options: dict[str, Any] = {
        "two_sided_test": False, "random_state": 0, "n_perm": n_perm, "model_intercept": False,
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        masker.fit(image(np.zeros(SHAPE)))
        theirs = nilearn_permuted(np.ones(N_IMAGES), Y, masker=masker, tfce=True, **options)
    ours = permuted_ols(np.ones(N_IMAGES), Y, masker=masker, tfce=tfce, **options)
    np.testing.assert_allclose(ours["t"], theirs["t"], rtol=1e-8)
    return ours, theirs


def test_scale_of_tfce() -> None:
    # Voxels without a neighbour, of extent 1: the integral of h^2 is t^3 / 3, and nilearn's sum is
    # that of (k max / 100)^2 over the heights up to t. At the largest t the sum of k^2 is 338350.
    apart = brain() & (np.indices(SHAPE).sum(axis=0) % 2 == 0)
    ours, theirs = both(apart, True, 30)
    t = ours["t"][0]
    np.testing.assert_allclose(ours["tfce"][0], np.maximum(t, 0) ** 3 / 3, rtol=1e-9)
    step = t.max() / 100
    heights = step * np.arange(1, 101)
    reached = heights[:, None] <= t * (1 + 1e-12)
    np.testing.assert_allclose(
        theirs["tfce"][0], (heights[:, None] ** 2 * reached).sum(axis=0), rtol=1e-6
    )
    # Each permutation has steps of its own: the sums grow with the square of the largest t.
    np.testing.assert_allclose(ours["h0_max_tfce"], ours["h0_max_t"] ** 3 / 3, rtol=1e-9)
    np.testing.assert_allclose(theirs["h0_max_tfce"], 33.835 * theirs["h0_max_t"] ** 2, rtol=1e-6)
    # What the pages say: 100 / max times the integral, here more by the 1.5 % of 100 steps.
    np.testing.assert_allclose(
        theirs["tfce"].max() * t.max() / 100, 1.01505 * ours["tfce"].max(), rtol=1e-6
    )

    # With neighbours: ours is the integral level by level, and "steps" is nilearn's sum.
    ours, theirs = both(brain(), True, 0)
    volume = np.full(SHAPE, np.nan)
    volume[brain()] = ours["t"][0]
    exact = clusters.tfce(volume, 6, 0.5, 2.0, two_sided=False)[brain()]
    np.testing.assert_allclose(ours["tfce"][0], exact, rtol=1e-9)
    steps, _ = both(brain(), "steps", 0)
    np.testing.assert_allclose(steps["tfce"][0], theirs["tfce"][0], rtol=2 * FLOAT32)
    ratio = theirs["tfce"][0, exact.argmax()] / exact.max() * np.nanmax(volume) / 100
    assert 0.9 < ratio < 1.1  # a sum of rectangles
