# SPDX-License-Identifier: BSD-3-Clause
"""GIFTI files whose values are in files beside them, against scipy."""

from __future__ import annotations

import nibabel
import numpy as np
import pandas as pd
import scipy.stats

from groupglm import SecondLevelModel
from reference.data import data_dir


def test_means_and_t_of_files_with_external_values() -> None:
    folder = data_dir("surfaces/gifti")
    files = sorted(folder.glob("con_*.gii"))
    assert len(files) == 36
    rows = np.stack(
        [np.fromfile(path.with_suffix(".dat"), "<f4").astype(np.float64) for path in files]
    )
    missing = np.isnan(rows).all(axis=0)
    assert (rows.shape[1], missing.sum()) == (4002, 1677)
    assert not np.isnan(rows[:, ~missing]).any()
    design = pd.DataFrame({"intercept": np.ones(36)})
    model = SecondLevelModel().fit([str(path) for path in files], design_matrix=design)
    found = model.compute_contrast("intercept", output_type="all")
    assert isinstance(found["stat"], nibabel.GiftiImage)  # one hemisphere, not a pair
    assert found["stat"].meta["AnatomicalStructurePrimary"] == "CortexLeft"  # of the sphere's name
    zero = (rows == 0).all(axis=0)
    inside = ~missing & ~zero
    assert model.n_elements_ == inside.sum() == 4002 - 1677 - 640
    mean, t = (found[name].agg_data() for name in ("effect_size", "stat"))
    np.testing.assert_allclose(mean[inside], rows[:, inside].mean(axis=0), rtol=1e-5, atol=1e-9)
    expected = scipy.stats.ttest_1samp(rows[:, inside], 0.0)
    np.testing.assert_allclose(t[inside], expected.statistic, rtol=1e-5, atol=1e-6)
    p = found["p_value"].agg_data()[inside]
    one_sided = scipy.stats.ttest_1samp(rows[:, inside], 0.0, alternative="greater").pvalue
    np.testing.assert_allclose(p, one_sided, rtol=1e-5)
    assert not mean[~inside].any()
