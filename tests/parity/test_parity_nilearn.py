# SPDX-License-Identifier: BSD-3-Clause
"""The same numbers as nilearn: inputs x designs x contrasts x outputs x masks, voxel by voxel.

Where the two differ on purpose is in test_differences_*.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel
from groupglm.design.contrasts import contrast_matrix
from groupglm.errors import ZeroValuesWarning
from reference.data import data_dir
from reference.oracle import (
    KINDS,
    MAP_NAME,
    N_IMAGES,
    OUTPUTS,
    Kind,
    assert_same_map,
    brain,
    hand_over,
    image,
    in_mask,
    mask_image,
    nilearn_contrast,
    nilearn_fit,
    volumes,
)

Dtype = type[np.floating[Any]]
RTOL: dict[Dtype, float] = {np.float32: 1e-5, np.float64: 1e-8}  # promised for each type of image


@dataclass(frozen=True)
class Design:
    """A design, contrasts by what they show, and the outputs in which the two packages agree."""

    frame: pd.DataFrame
    contrasts: dict[str, Any]
    outputs: tuple[str, ...] = OUTPUTS
    warns: str | None = field(default=None)


def _designs() -> dict[str, Design]:
    rng = np.random.default_rng(21)
    place = np.arange(N_IMAGES)
    age = rng.uniform(20.0, 70.0, N_IMAGES)
    group = pd.DataFrame({"ctrl": place % 2 == 0, "drug": place % 2 == 1}).astype(float)
    score = rng.normal(size=N_IMAGES)
    subjects = {f"s{s}": (place // 2 == s).astype(float) for s in range(N_IMAGES // 2)}
    site = pd.get_dummies(place % 3, prefix="site", dtype=float)
    return {
        "one-sample": Design(
            pd.DataFrame({"intercept": np.ones(N_IMAGES)}),
            {"name": "intercept", "vector": [1.0], "none": None, "row": [[2.0]]},
        ),
        "two-group": Design(
            group.assign(age=age),
            {
                "name": "age",
                "expression": "drug - ctrl",
                "vector": np.array([-1.0, 1.0, 0.0]),
                "F": np.eye(3)[:2],
                "vectors": [[1, -1, 0], [0, 0, 1]],
            },
        ),
        "regression": Design(
            pd.DataFrame({"age": age, "score": score, "age score": age * score}).assign(one=1.0),
            {
                "name": "age score",
                "expression": "one - 2*score + `age score`/3",
                "vector": (0, 1, 0, 0),
                "F": np.eye(4)[:3],
                "vectors": [np.array([0.0, 1.0, 0.5, 0.0]), np.array([0.0, 0.0, 0.0, 1.0])],
            },
        ),
        "paired": Design(
            pd.DataFrame({"after": place % 2 - 0.5, **subjects}),
            {
                "name": "after",
                "expression": "after + s0 - s7",
                "vector": [1.0] + [0.0] * 8,
                "F": np.eye(9)[[0, 3]],
            },
        ),
        # Their variances are over other degrees of freedom; the effects are the same.
        "rank-deficient": Design(
            site.assign(age=age, one=1.0),
            {"name": "age", "expression": "site_0 - site_2", "vector": [1, 0, 0, 0, 1]},
            outputs=("effect_size",),
            warns="rank 4, but 5 columns: columns 'site_0', 'site_1', 'site_2' and 'one' are",
        ),
    }


DESIGNS = _designs()
MASKS = ("image", "path", "found")


class Row(NamedTuple):
    """One fit by both packages."""

    kind: Kind
    design: str
    mask: str
    dtype: Dtype

    def __str__(self) -> str:
        return f"{self.kind}-{self.design}-{self.mask}-{np.dtype(self.dtype)}"


def _rows() -> Iterator[Row]:
    """Every design for both types; every input with every mask; no product beyond that."""
    for dtype in RTOL:
        for design in DESIGNS:
            yield Row("memory", design, "image", dtype)
    for kind in KINDS:
        for mask in MASKS:
            if (kind, mask) != ("memory", "image"):
                yield Row(kind, "two-group", mask, np.float64)
    for kind in KINDS:
        if kind != "memory":
            yield Row(kind, "one-sample", "image", np.float32)


ROWS = tuple(_rows())
Fits = Callable[[Row], tuple[Any, Any]]


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory) -> Fits:
    """Fit by both packages, once a row of the table."""

    @cache
    def fit(row: Row) -> tuple[Any, Any]:
        folder: Path = tmp_path_factory.mktemp("fit")
        given = hand_over([image(volume) for volume in volumes(row.dtype)], row.kind, folder)
        half = brain()
        half[:4] = False
        nib.save(mask_image(half), folder / "mask.nii.gz")
        mask_img = {"image": mask_image(half), "path": str(folder / "mask.nii.gz"), "found": None}
        options: dict[str, Any] = {"mask_img": mask_img[row.mask]}
        design = DESIGNS[row.design]
        model = SecondLevelModel(**options)
        if design.warns is None:
            model.fit(given, design_matrix=design.frame)
        else:
            with pytest.warns(UserWarning, match=design.warns):
                model.fit(given, design_matrix=design.frame)
        if row.kind == "4D path":
            given = nib.load(given)  # nilearn cannot take the path
        return model, nilearn_fit(given, design.frame, **options)

    return fit


@pytest.mark.parametrize(
    ("row", "contrast"),
    [
        pytest.param(row, name, id=f"{row}-{name}")
        for row in ROWS
        for name in DESIGNS[row.design].contrasts
    ],
)
def test_every_output_equals_nilearn(fits: Fits, row: Row, contrast: str) -> None:
    ours, theirs = fits(row)
    mask = in_mask(theirs.masker_.mask_img_)
    assert 50 < mask.sum() <= brain().sum()
    design = DESIGNS[row.design]
    weights = design.contrasts[contrast]
    chosen = {"first_level_contrast": MAP_NAME} if row.kind == "table" else {}
    found = ours.compute_contrast(weights, output_type="all", **chosen)
    np.testing.assert_array_equal(in_mask(ours.mask_img_), mask)
    wanted = nilearn_contrast(theirs, weights, output_type="all", **chosen)
    assert set(found) == set(wanted) == set(OUTPUTS)
    is_f = contrast in ("F", "vectors")
    for name in OUTPUTS:
        alone = ours.compute_contrast(weights, output_type=name, **chosen)
        np.testing.assert_array_equal(alone.get_fdata(), found[name].get_fdata())
        # The effects of an F contrast differ on purpose.
        if name in design.outputs and not (is_f and name == "effect_size"):
            assert_same_map(found[name], wanted[name], mask, name, rtol=RTOL[row.dtype])


@pytest.mark.parametrize(
    ("design", "contrast"),
    [(name, kind) for name, design in DESIGNS.items() for kind in design.contrasts],
)
def test_the_numbers_before_they_become_float32(fits: Fits, design: str, contrast: str) -> None:
    """The fit's own float64, which rounding of the maps hides; 1e-8 is then 1e-8."""
    ours, theirs = fits(Row("memory", design, "image", np.float64))
    row = contrast_matrix(DESIGNS[design].contrasts[contrast], list(ours.design_matrix_.columns))
    is_f = row.ndim == 2 and len(row) > 1
    found = ours.results_.contrast(row, stat_type="F" if is_f else "t")
    wanted = nilearn_contrast(theirs, row, output_type="all")
    inside = in_mask(ours.mask_img_)
    for name in DESIGNS[design].outputs:
        if is_f and name == "effect_size":
            continue
        values = np.squeeze(wanted[name].get_fdata())[inside]
        # A log p-value changes by |z| times the change of z, here below 40.
        rtol = 4e-7 if name == "p_value" else 1e-8
        ours_there = np.squeeze(getattr(found, name))
        np.testing.assert_allclose(
            ours_there, values, rtol=rtol, atol=1e-8 * np.median(abs(values))
        )


@pytest.mark.parametrize("contrast", ["age", [[0.0, 0.0, 1.0]]])
@pytest.mark.parametrize("stat_type", ["t", "F", None])
def test_the_statistic_asked_for(fits: Fits, contrast: Any, stat_type: str | None) -> None:
    ours, theirs = fits(Row("memory", "two-group", "image", np.float64))
    options = {"second_level_stat_type": stat_type, "output_type": "all"}
    found = ours.compute_contrast(contrast, **options)
    wanted = nilearn_contrast(theirs, contrast, **options)
    for name in ("stat", "p_value", "z_score", "effect_variance"):
        assert_same_map(found[name], wanted[name], in_mask(ours.mask_img_), name, rtol=1e-8)


@pytest.mark.parametrize("design", ["two-group", "paired"])
def test_maps_of_the_fit_equal_nilearn(design: str) -> None:
    frame = DESIGNS[design].frame
    given = [image(volume) for volume in volumes()]
    options: dict[str, Any] = {"mask_img": mask_image(), "minimize_memory": False}
    ours: Any = SecondLevelModel(**options).fit(given, design_matrix=frame)
    theirs = nilearn_fit(given, frame, **options)
    nilearn_contrast(theirs, frame.columns[0])  # theirs fits only now
    for name in ("residuals", "predicted", "r_square"):
        found = getattr(ours, f"{name}_").get_fdata()
        wanted = np.squeeze(getattr(theirs, f"{name}_").get_fdata())
        # float32 maps of values up to 10: half a unit in the last place of those.
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=5e-7)
        (listed,) = getattr(ours, name)()
        np.testing.assert_array_equal(listed.get_fdata(), found)
    both_parts = ours.residuals_.get_fdata() + ours.predicted_.get_fdata()
    np.testing.assert_allclose(both_parts[brain()].T, volumes()[:, brain()], atol=2e-6)


@pytest.mark.parametrize("given_mask", [False, True])
def test_a_real_study(given_mask: bool) -> None:
    """Twenty subjects, float64 maps: the mask and every output, voxel by voxel."""
    load: Any = nib.load
    paths = sorted(str(path) for path in data_dir("ds003338").glob("sub-*_effect_size.nii.gz"))
    first = load(paths[0])
    mask_img = None
    if given_mask:
        present = np.all([load(path).get_fdata() != 0 for path in paths], axis=0)
        mask_img = image(present.astype(np.uint8), first.affine)
    age = np.random.default_rng(22).uniform(20.0, 60.0, len(paths))
    design = pd.DataFrame({"intercept": 1.0, "age": age - age.mean()})
    with nullcontext() if given_mask else pytest.warns(ZeroValuesWarning, match="^18,544 of "):
        ours: Any = SecondLevelModel(mask_img=mask_img).fit(paths, design_matrix=design)
    theirs = nilearn_fit(paths, design, mask_img=mask_img)
    mask = in_mask(theirs.masker_.mask_img_)
    np.testing.assert_array_equal(in_mask(ours.mask_img_), mask)
    assert mask.sum() > 50_000
    for contrast in ("intercept", "age"):
        found = ours.compute_contrast(contrast, output_type="all")
        wanted = nilearn_contrast(theirs, contrast, output_type="all")
        for name in OUTPUTS:
            assert_same_map(found[name], wanted[name], mask, name, rtol=1e-8)
