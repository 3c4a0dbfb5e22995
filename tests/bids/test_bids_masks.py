# SPDX-License-Identifier: BSD-3-Clause
"""The mask that a Stats Model names by entities."""

from __future__ import annotations

from pathlib import Path

import pytest

from groupglm.bids.masks import find_mask
from reference.bids import effect, touch


def test_the_one_file_that_has_the_entities(tmp_path: Path) -> None:
    touch(tmp_path, "space-A_desc-brain_mask.nii.gz", "space-B_desc-brain_mask.nii.gz")
    touch(tmp_path, "space-A_desc-brain_mask.json", effect("01"), "space-A_label-GM_probseg.nii.gz")
    found = find_mask(tmp_path, {"desc": ["brain"], "space": ["B"]})
    assert found.name == "space-B_desc-brain_mask.nii.gz"
    assert find_mask(tmp_path, {"suffix": ["probseg"]}).name == "space-A_label-GM_probseg.nii.gz"


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"desc": ["head"]}, r"Mask \(desc head\) names no file of the derivative"),
        ({"desc": ["brain"]}, "names 2 files of the derivative .*a group model has one mask"),
        ({"sub": ["01"]}, "names no file"),
    ],
)
def test_no_mask_and_several_are_refused(
    tmp_path: Path, wanted: dict[str, list[str]], told: str
) -> None:
    touch(tmp_path, "space-A_desc-brain_mask.nii.gz", "sub-02/sub-02_desc-brain_mask.nii.gz")
    with pytest.raises(ValueError, match=told):
        find_mask(tmp_path, wanted)
