# SPDX-License-Identifier: BSD-3-Clause
"""Pictures know what a map holds, by the same rule as thresholds do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel
from groupglm.plotting import plot_glass_brain, plot_stat_map

DRAW = pytest.mark.parametrize("draw", [plot_stat_map, plot_glass_brain])


@pytest.fixture(scope="module")
def maps() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    mask = nib.Nifti1Image(np.ones((6, 6, 6), np.uint8), np.eye(4) * [4, 4, 4, 1])  # type: ignore[no-untyped-call]
    images = [
        nib.Nifti1Image(rng.standard_normal((6, 6, 6)) + 1, mask.affine)  # type: ignore[no-untyped-call]
        for _ in range(9)
    ]
    design = pd.DataFrame({"one": 1.0, "age": np.arange(9.0)})
    model = SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)
    found: dict[str, Any] = model.compute_contrast("one", output_type="all")
    found["F"] = model.compute_contrast(["one", "age"], output_type="stat")
    return found


def _label(figure: Any) -> str:
    return str(figure.axes[-1].get_xlabel()).split(";")[0]


@DRAW
def test_the_colour_bar_is_labelled_with_what_the_map_holds(
    draw: Any, maps: dict[str, Any]
) -> None:
    labels = {kind: _label(draw(image, bg_img=None)) for kind, image in maps.items()}
    assert labels["z_score"] == "z"
    assert labels["stat"] == "t"
    assert labels["F"] == "F"
    assert labels["p_value"] == "p"
    assert "effect" in labels["effect_size"]
    assert "variance" in labels["effect_variance"]
    assert _label(draw(maps["stat"], bg_img=None, label="strength")) == "strength"


@DRAW
def test_an_unknown_map_is_no_map_of_z(draw: Any, tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.full((4, 4, 4), 3.0), np.eye(4))  # type: ignore[no-untyped-call]
    assert _label(draw(image, bg_img=None)) == "value"
    path = tmp_path / "contrast-age_stat-t_statmap.nii.gz"
    image.to_filename(path)
    assert _label(draw(path, bg_img=None)) == "t"


@DRAW
def test_a_threshold_of_p_values_is_refused(draw: Any, maps: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"map of p-values .* threshold=3.1 would leave only"):
        draw(maps["p_value"], bg_img=None, threshold=3.1)
    draw(maps["p_value"], bg_img=None)
    draw(maps["stat"], bg_img=None, threshold=3.1)


@DRAW
def test_contradictions_are_told(draw: Any, maps: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "contrast-age_stat-p_statmap.nii.gz"
    maps["z_score"].to_filename(path)
    with pytest.warns(UserWarning, match="its header says that this is a map of z"):
        assert _label(draw(path, bg_img=None)) == "value"
