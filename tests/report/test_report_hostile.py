# SPDX-License-Identifier: BSD-3-Clause
"""Pages of odd data: names with markup, masks of one voxel, constant images, nothing to show."""

from __future__ import annotations

import re
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel

nib: Any = nibabel  # typed only in part
SHAPE = (6, 7, 6)
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
EVIL = "<script>alert(1)</script></code></pre>{{ 7 * 7 }} & \"'$x_y$" + 300 * "w"


def _fit(values: Any, mask: Any, design: pd.DataFrame) -> SecondLevelModel:
    images = [nib.Nifti1Image(np.asarray(own, np.float32), AFFINE) for own in values]
    model = SecondLevelModel(nib.Nifti1Image(np.asarray(mask, np.uint8), AFFINE))
    return model.fit(images, design_matrix=design)


def _words(page: object) -> str:
    """Return the text that readers see, without programs and the parameters."""
    text = str(page).partition("</style>")[2].partition('id="redo"')[0]
    text = re.sub(r"<script>.*?</script>|<svg.*?</svg>", "", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))


def test_names_with_markup_are_text_everywhere() -> None:
    rng = np.random.default_rng(0)
    ramp = np.linspace(-1, 2, SHAPE[0])[:, None, None]
    design = pd.DataFrame({EVIL: np.arange(12) % 2.0, "i": np.ones(12)})
    model = _fit(rng.normal(size=(12, *SHAPE)) + ramp, np.ones(SHAPE), design)
    sets = model.compute_confidence_sets([0, 1], level=0.5, n_bootstraps=100, random_state=0)
    with pytest.warns(UserWarning, match="voxels wide"):
        page = str(
            model.generate_report(
                {EVIL: [1, 0], "$" + EVIL: [0, 1]},
                title=EVIL,
                height_control=["cluster-rft", "fdr"],
                alpha=0.05,
                bg_img=None,
                confidence_sets={"$" + EVIL: sets},
            )
        )
    assert "<script>alert" not in page
    assert "{{ 7 * 7 }}" in page  # as it was given
    assert page.count("<script") == page.count("</script>")
    assert page.count("<pre ") == page.count("</pre>") == 1


@pytest.mark.parametrize("plot_type", ["slice", "glass"])
def test_a_mask_of_one_voxel_has_a_page(plot_type: Any) -> None:
    mask = np.zeros(SHAPE)
    mask[2, 3, 4] = 1
    values = np.random.default_rng(1).normal(2, 1, (8, *SHAPE))
    model = _fit(values, mask, pd.DataFrame({"i": np.ones(8)}))
    words = _words(model.generate_report("i", plot_type=plot_type, alpha=0.05, bg_img=None))
    assert not re.search(r"\bnan\b", words)
    assert "One cluster, 1 voxel." in words
    with pytest.raises(ValueError, match="no two of the 1 places"):
        model.generate_report("i", height_control="rft", alpha=0.05)


def test_constant_images_have_a_page_without_nan() -> None:
    values = np.full((6, *SHAPE), 2.0)
    model = _fit(values, np.ones(SHAPE), pd.DataFrame({"i": np.ones(6)}))
    words = _words(model.generate_report("i", bg_img=None))
    assert not re.search(r"\bnan\b", words)
    assert re.search(r"2\.000 n/a n/a n/a", words)  # an effect without interval or d
