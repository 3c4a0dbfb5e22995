# SPDX-License-Identifier: BSD-3-Clause
"""Robust regression against R's MASS::rlm, by tables that `mass/rlm.R` made (MASS 7.3-58.2)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from groupglm import fit_robust

FOLDER = Path(__file__).parent / "mass"
IMAGES, FITS = (pd.read_csv(FOLDER / name) for name in ("data.csv", "rlm.csv"))


@pytest.mark.parametrize("weights", ["huber", "bisquare"])
@pytest.mark.parametrize("study", ["mean", "line", "groups"])
def test_coefficients_and_weights_are_those_of_rlm(study: str, weights: str) -> None:
    """Of "mean", rlm is as it comes; of the others, its psi knows the leverages."""
    own = IMAGES[IMAGES["study"] == study].drop(columns="study").dropna(axis=1, how="all")
    voxels = [name for name in map(str, own) if name.startswith("y")]
    X = np.column_stack([np.ones(len(own)), own.drop(columns=voxels)])
    Y = own[voxels].to_numpy(np.float64)
    fit = fit_robust(X, Y, weights=weights)
    # rlm may take 500 iterations, as one voxel's bisquare needs, and we 50.
    done = fit.converged
    assert done.sum() >= Y.shape[1] - 1
    found = FITS[(FITS["study"] == study) & (FITS["weights"] == weights)]
    b = found.filter(regex=r"^b\d").to_numpy()[:, : X.shape[1]]
    w = found.filter(regex=r"^w\d").to_numpy()[:, : len(X)]
    assert (w < 0.99).any(axis=1).all()  # each voxel has an image that is far off
    # Our iterations end where a step is below 1.5e-8 of a coefficient; they shrink by about a half.
    np.testing.assert_allclose(fit.beta.T[done], b[done], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(fit.weights(Y).T[done], w[done], atol=1e-6)
