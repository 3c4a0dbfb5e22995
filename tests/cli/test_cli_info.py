# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm info`` of a saved model."""

from __future__ import annotations

import json
from pathlib import Path

from reference.shell import run, run_well


def test_a_folder_or_a_file_says_what_was_fitted(results: Path) -> None:
    shown = run_well("info", results).output
    assert "model            ols" in shown
    assert "9 degrees of freedom, columns Intercept, age, C(group)[T.patient]" in shown
    assert "sub-01" not in shown
    facts = json.loads(run_well("info", results / "model.groupglm", "--json").output)
    assert facts["columns"] == ["Intercept", "age", "C(group)[T.patient]"]
    assert [Path(name).name for name in facts["images"]][:2] == [
        "sub-01_effect.nii.gz",
        "sub-02_effect.nii.gz",
    ]
    assert "settings" not in facts


def test_what_is_no_model_is_refused(study: Path) -> None:
    refused = run("info", study / "participants.tsv")
    assert refused.exit_code == 1
    assert "is not a saved model" in refused.output
    assert "holds no saved model" in run("info", study).output
