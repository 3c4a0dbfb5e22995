# SPDX-License-Identifier: BSD-3-Clause
"""Options of the group's model: which are refused beside which, and whose map is whose."""

from __future__ import annotations

from pathlib import Path

import pytest

from reference.shell import basic, run, run_fit
from reference.variance_study import make_variance_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_variance_study(tmp_path_factory.mktemp("study"))


def weighted(study: Path, output: Path, *more: str | Path) -> list[str | Path]:
    return basic(study, output, "--variances", study / "maps" / "*_variance.nii.gz", *more)


@pytest.mark.parametrize("command", ["fit", "permute"])
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--variances", "v.nii"), "--variances has no effect with --model ols"),
        (("--tau2", "ml"), "--tau2 has no effect with --model ols; give --model mixed"),
        (("--model", "fixed", "--tau2", "0.5"), "--tau2 has no effect with --model fixed"),
        (("--model", "fixed", "--test", "z"), "--test has no effect with --model fixed"),
        (("--model", "unequal", "--variances", "v.nii"), "no effect with --model unequal"),
        (("--variance-groups", "site"), "give --model mixed, or --model unequal, or leave"),
        (("--model", "mixed", "--weights", "w.nii"), "give --model ols, or leave --weights out"),
        (("--model", "mixed", "--covariate", "g=g.nii"), "--covariate has no effect with --model"),
        (("--covariate", "g=a", "--covariate", "g=b"), "--covariate g is given 2 times"),
        (("--covariate", "grey"), "must be NAME=GLOB"),
        (("--model", "mixed", "--tau2", "-1"), "no number of at least 0"),
        (("--model", "mixed", "--tau2", "nan"), "no number of at least 0"),
        (("--model", "mixed", "--tau2", "remlx"), "is none of reml, ml"),
        (("--model", "mixed", "--test", "x"), "is not one of 'knapp-hartung'"),
        (("--model", "mixed", "--fwhm", "6"), "--fwhm changes the maps"),
    ],
)
def test_options_of_another_model_are_wrong_options(
    command: str, options: tuple[str, ...], told: str, study: Path, tmp_path: Path
) -> None:
    result = run(command, *basic(study, tmp_path / "out", *options))
    assert result.exit_code == 2
    assert told in " ".join(result.output.split())
    assert not (tmp_path / "out").exists()


def test_a_model_that_weights_by_variances_asks_for_them(study: Path, tmp_path: Path) -> None:
    refused = run_fit(*basic(study, tmp_path / "out", "--model", "fixed", "--dry-run"))
    assert refused.exit_code == 1
    assert "--model fixed weights each map by its variance; give" in refused.output
    assert "--variances 'maps/*_variance*'" in refused.output


def test_a_covariate_has_a_name_of_its_own(study: Path, tmp_path: Path) -> None:
    grey = study / "maps" / "*_grey.nii.gz"
    refused = run_fit(*basic(study, tmp_path / "out", "--covariate", f"age={grey}", "--dry-run"))
    assert refused.exit_code == 1
    assert "--covariate 'age' has the name of a column of the design" in refused.output
