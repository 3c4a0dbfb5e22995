# SPDX-License-Identifier: BSD-3-Clause
"""Variances that are none, or not of these images: refused or reported, with what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nibabel.nifti1 import Nifti1Image
from nilearn.maskers import NiftiMasker
from numpy.typing import NDArray

from contract.fake_models import KnownVariance
from groupglm import SecondLevelModel, non_parametric_inference
from groupglm.errors import ArgumentError, GridMismatchError, ImageError
from groupglm.group.variance_sample import VarianceSample
from reference.data import data_dir

N, SHAPE = 6, (16, 15, 14)
ONES = pd.DataFrame({"intercept": np.ones(N)})
LABELS = [f"{number:02d}" for number in range(1, N + 1)]
INSIDE = np.zeros(SHAPE, np.bool_)
INSIDE[2:14, 2:13, 2:12] = True


def image(values: NDArray[Any], shift: float = 0.0) -> Any:
    affine = np.eye(4)
    affine[0, 3] = shift
    return Nifti1Image(values, affine)  # type: ignore[no-untyped-call]


MASK = image(INSIDE.astype(np.uint8))


class Maps:
    """Effects and their standard deviations; noise is in proportion to the deviation."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.sd = np.where(INSIDE, rng.uniform(0.5, 4, (N, *SHAPE)), 0.0)
        self.y = self.sd * rng.normal(0.5, 1, self.sd.shape)

    def files(self, folder: Path, ending: str, values: Any = None) -> list[str]:
        values = self.y if values is None else values
        paths = [str(folder / f"sub-{label}_{ending}.nii.gz") for label in LABELS]
        for path, own in zip(paths, values, strict=True):
            nib.save(image(own), path)
        return paths


@pytest.fixture
def maps() -> Maps:
    return Maps()


def images(values: NDArray[Any]) -> list[Any]:
    return [image(own) for own in values]


def fit(given: Any, variances: Any, mask: Any = MASK, **options: Any) -> SecondLevelModel:
    model = SecondLevelModel(mask, model=KnownVariance(), **options)
    return model.fit(given, design_matrix=ONES, variances=variances)


def refused(
    match: str, argument: str, *arguments: Any, error: Any = ArgumentError, **options: Any
) -> None:
    with pytest.raises(error, match=match) as caught:
        fit(*arguments, **options)
    if error is ArgumentError:
        assert caught.value.argument == argument


def test_the_model_needs_variances(maps: Maps, tmp_path: Path) -> None:
    given = images(maps.y)
    refused("variances is None, but the model takes one image of them for each", "variances",
            given, None)  # fmt: skip
    table = pd.DataFrame({"subject_label": LABELS, "map_name": "a", "effects_map_path": given})
    with pytest.raises(ArgumentError, match="no column variances_map_path"):
        SecondLevelModel(MASK, model=KnownVariance()).fit(table, design_matrix=ONES)


def test_another_number_grid_or_subject(maps: Maps, tmp_path: Path) -> None:
    given, own = images(maps.y), images(maps.sd**2)
    refused("variances has 5 images, but second_level_input has 6", "variances", given, own[:5])
    shifted = [image(values, shift=2.0) for values in maps.sd**2]
    refused("image 1 of variances is not at the places of its image", "", given, shifted,
            error=GridMismatchError)  # fmt: skip
    one_shifted = [*own[:3], image(maps.sd[3] ** 2, 2.0), *own[4:]]
    refused("image 4 of variances is not on the grid of image 1", "", given, one_shifted,
            error=GridMismatchError)  # fmt: skip
    effects = maps.files(tmp_path, "stat-effect_statmap")
    variances = maps.files(tmp_path, "stat-variance_statmap", maps.sd**2)
    swapped = [variances[1], variances[0], *variances[2:]]
    refused("2 of 6 images of variances are of other subjects than their images, by the names of "
            "the files: number 1 is of '02', and image 1 of second_level_input of '01'",
            "variances", effects, swapped)  # fmt: skip
    short = pd.Series(variances, index=[*LABELS[:5], "6b"])
    refused("variances has no row for 06; has rows for subjects without a map: 6b", "variances",
            effects, short)  # fmt: skip


@pytest.mark.parametrize("with_mask", [True, False])
def test_an_error_of_a_variance_says_that_it_is_one(maps: Maps, with_mask: bool) -> None:
    mask = MASK if with_mask else None
    own = maps.sd**2
    own[3] = np.nan
    with pytest.raises(ImageError, match=r"^image 4 of variances in memory: all .* are NaN"):
        fit(images(maps.y), images(own), mask)
    own[3] = maps.sd[3] ** 2
    own[2, 3, 3, 3] = np.inf
    with pytest.raises(ImageError, match=r"^image 3 of variances in memory: 1 infinite value"):
        fit(images(maps.y), images(own), mask)


def test_a_file_that_is_given_twice(maps: Maps, tmp_path: Path) -> None:
    effects = maps.files(tmp_path, "effect_a")
    variances = maps.files(tmp_path, "variance_a", maps.sd**2)
    refused(r"effect_a.nii.gz' is given both as image 3 of second_level_input and as image 3",
            "variances", effects, [*variances[:2], effects[2], *variances[3:]])  # fmt: skip
    linked = tmp_path / "other.nii.gz"
    linked.symlink_to(variances[0])
    refused("images 1 and 6 of variances are one file: '.*other.nii.gz'", "variances",
            effects, [*variances[:5], str(linked)])  # fmt: skip
    refused("variances is second_level_input itself", "variances", effects, effects)


@pytest.mark.parametrize(
    ("ending", "what"),
    [
        ("task-a_stat-t_statmap", "t statistics"),
        ("task-a_stat-z_statmap", "z-scores"),
        ("task-a_stat-effect_statmap", "effects"),
        ("task-a_stat-stderr_statmap", "standard errors"),
        ("desc-se", "standard errors"),
        ("pain_se", "standard errors"),
        ("sem", "standard errors"),
        ("pain_t", "t statistics"),
        ("z", "z-scores"),
        ("tstat1", "t statistics"),
        ("cope1", "effects"),
        ("beta_0001", "effects"),
        ("effect_size", "effects"),
    ],
)
def test_files_whose_names_say_what_they_are(
    maps: Maps, tmp_path: Path, ending: str, what: str
) -> None:
    wrong = maps.files(tmp_path, ending, maps.sd)
    remedy = "square them" if what == "standard errors" else "maps of the variances"
    refused(f"6 of 6 images of variances hold {what}, not variances: .*{remedy}", "variances",
            images(maps.y), wrong)  # fmt: skip


@pytest.mark.parametrize(
    "ending", ["stat-variance_statmap", "varcope1", "effect_variance", "pain_varcope", "v", "a1"]
)
def test_files_whose_names_say_nothing_else_are_taken(
    maps: Maps, tmp_path: Path, ending: str
) -> None:
    fit(images(maps.y), maps.files(tmp_path, ending, maps.sd**2))


@pytest.mark.parametrize("intent", ["t test", "z score", "f test"])
def test_images_whose_header_says_what_they_are(maps: Maps, intent: str) -> None:
    own = images(maps.sd**2)
    for one in own:
        df = {"t test": (20,), "f test": (2, 20)}.get(intent, ())
        one.header.set_intent(intent, df)
    kind = {"t test": "t statistics", "z score": "z-scores", "f test": "F statistics"}[intent]
    refused(rf"images of variances hold {kind}.* \(as the header says\)", "variances",
            images(maps.y), own)  # fmt: skip


@pytest.mark.parametrize("power", [0.5, 0.0])
@pytest.mark.parametrize("with_mask", [True, False])
@pytest.mark.parametrize("unit", [0.01, 1.0, 250.0])
def test_what_grows_as_the_effects_is_no_variance(
    maps: Maps, power: float, with_mask: bool, unit: float
) -> None:
    """Standard errors, and |t| statistics times an effect: in any units."""
    maps = Maps(1)
    sd, y = unit * maps.sd, unit * maps.y
    wrong = sd if power else np.abs(y) + 1e-9 * (y != 0)
    mask = MASK if with_mask else None
    with pytest.warns(UserWarning, match=r"variances look like standard errors or statistics.* "
                      r"power (0\.9|1\.)"):  # fmt: skip
        fit(images(y), images(wrong), mask)
    fit(images(y), images(sd**2), mask)  # and says nothing


REAL = {"ds003338": ("sub-*_effect_size", "effect_size", "effect_variance"),
        "pain21": ("pain_??_beta", "beta", "varcope")}  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_real_variances_pass_and_nothing_else_does(name: str) -> None:
    pattern, effect, variance = REAL[name]
    folder = data_dir(name)
    kinds = ["variance", "se", "|t|", "|effect|"] + ["z"] * (name == "pain21")
    samples = {kind: VarianceSample() for kind in kinds}
    for path in sorted(map(str, folder.glob(f"{pattern}.nii.gz")))[:8]:
        y, v = (
            np.asarray(nib.load(own).dataobj).ravel()  # type: ignore[attr-defined]
            for own in (path, path.replace(effect, variance))
        )
        se = np.sqrt(v)
        given = {"variance": v, "se": se, "|effect|": np.abs(y),
                 "|t|": np.abs(y / np.where(se > 0, se, 1))}  # fmt: skip
        if name == "pain21":
            given["z"] = np.asarray(nib.load(path.replace(effect, "z")).dataobj).ravel()  # type: ignore[attr-defined]
        for kind, sample in samples.items():
            sample.look(0, np.stack([y, given[kind]]))
    samples.pop("variance").warn()
    for sample in samples.values():
        with pytest.warns(UserWarning, match="look like standard errors or statistics"):
            sample.warn()


@pytest.mark.filterwarnings("ignore:Overriding provided-default")  # of the masker
@pytest.mark.parametrize("fwhm", [6.0, [0, 4, 0]])
def test_smoothing_is_refused(maps: Maps, fwhm: Any) -> None:
    refused("smooth at the first level, before effects and variances are estimated",
            "smoothing_fwhm", images(maps.y), images(maps.sd**2), smoothing_fwhm=fwhm)  # fmt: skip
    masker = NiftiMasker(MASK, smoothing_fwhm=fwhm, standardize=None)
    refused("smooth at the first level", "smoothing_fwhm", images(maps.y), images(maps.sd**2),
            masker)  # fmt: skip
    for none in (None, 0, [0, 0, 0]):
        fit(images(maps.y), images(maps.sd**2), smoothing_fwhm=none)


def test_options_of_another_model(maps: Maps) -> None:
    given, own = images(maps.y), images(maps.sd**2)
    known = SecondLevelModel(MASK, model=KnownVariance())
    with pytest.raises(ArgumentError, match=r"weights is given, but .* weights the images itself"):
        known.fit(given, design_matrix=ONES, variances=own, weights=own)
    with pytest.raises(ArgumentError, match=r"covariates is given, but .*; put numbers that are"):
        known.fit(given, design_matrix=ONES, variances=own, covariates={"a": own})
    table = pd.DataFrame({"subject_label": LABELS, "map_name": "a", "effects_map_path": given})
    table["variances_map_path"] = table["weights_map_path"] = own
    with pytest.raises(ArgumentError, match="weights is a column of second_level_input, but"):
        known.fit(table, design_matrix=ONES)
    with pytest.raises(ArgumentError, match="variances is given, but the model 'ols' takes none"):
        SecondLevelModel(MASK).fit(given, design_matrix=ONES, variances=own)
    for wrong in ([1], "grey.nii", own):
        with pytest.raises(ArgumentError, match=r"covariates is a .*; .* must be a mapping"):
            SecondLevelModel(MASK).fit(given, design_matrix=ONES, covariates=wrong)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="model is 'mixd effects'; 'model' must be 'ols' or"):
        SecondLevelModel(model="mixd effects").fit(given, design_matrix=ONES)
    with pytest.raises(ArgumentError, match="model is a type; 'model' must be 'ols' or"):
        SecondLevelModel(model=KnownVariance).fit(given, design_matrix=ONES)  # type: ignore[arg-type]


def test_negative_variances_are_counted_by_subject(maps: Maps) -> None:
    v = maps.sd**2
    v[1, 3, 3, 3:5] = -1e-3
    v[4, 5, 5, 5] = -7
    v[2, 0, 0, 0] = -1  # outside the mask
    v[3, 6, 6, 6] = np.nan
    for mask in (MASK, image((INSIDE * 1).astype(np.uint8))):
        refused(r"variances are negative at voxels of 2 of 6 images: image 2 in memory \(2 "
                r"voxels\), image 5 in memory \(1 voxel\); variances are the squares",
                "variances", images(maps.y), images(v), mask)  # fmt: skip


@pytest.mark.parametrize("model", ["mixed effects", "fixed effects"])
@pytest.mark.parametrize("options", [{}, {"target_affine": np.diag([2.0, 2.0, 2.0])}])
def test_no_mask_is_found_without_what_variances_spoil(
    maps: Maps, model: str, options: dict[str, Any]
) -> None:
    """Where most variances are negative no fit is possible, and that is no reason to be silent."""

    def without_mask(v: NDArray[Any]) -> SecondLevelModel:
        y = np.where(INSIDE, 20 * (1 + 0.1 * maps.y), 0.0)
        return SecondLevelModel(model=model, **options).fit(
            images(y), design_matrix=ONES, variances=images(v)
        )

    v = 100 * maps.sd**2
    whole = int(without_mask(v).masker_.n_elements_)
    assert whole > 0
    gaps = v.copy()
    gaps[1:, 5:7, 5:7, 5:7] = 0.0
    gaps[2:, 5:7, 5:7, 5:7] = np.nan
    told = "voxels?, variances are NaN or 0 beside a value in so many images that too few are left"
    with pytest.warns(UserWarning, match=rf"at [0-9]+ {told}: the mask leaves"):
        assert int(without_mask(gaps).masker_.n_elements_) < whole
    v[:, :8] *= -1
    with pytest.raises(ArgumentError, match=f"negative at voxels of {N} of {N} images: image 1 in"):
        without_mask(v)
    with pytest.raises(ArgumentError, match=f"negative at voxels of {N} of {N} images: image 1 in"):
        without_mask(-np.abs(v))
    with pytest.raises(ArgumentError, match="variances are 0 wherever the images have a value"):
        without_mask(0 * v)


@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("missing", ["omit", "raise", "intersect", "zero"])
def test_a_negative_variance_is_no_missing_value(maps: Maps, missing: Any, mask: Any) -> None:
    v = 100 * maps.sd**2
    v[1, 6, 6, 6] *= -1
    y = np.where(INSIDE, 20 * (1 + 0.1 * maps.y), 0.0)
    with pytest.raises(ArgumentError, match=rf"negative at voxels of 1 of {N} images: image 2 in"):
        SecondLevelModel(mask, model="mixed effects", missing=missing).fit(
            images(y), design_matrix=ONES, variances=images(v)
        )


def test_variances_that_cannot_be_used_are_counted_by_subject(maps: Maps, tmp_path: Path) -> None:
    v = maps.sd**2
    v[1, 3, 3, 3:5] = np.nan
    v[1, 3, 3, 6] = 0
    v[4, 5, 5, 5] = 0
    v[5, 5, 5, 5] = maps.y[5, 5, 5, 5] = 0  # outside a brain
    v[2, 0, 0, 0] = 0  # outside the mask
    effects, files = maps.files(tmp_path, "effect"), maps.files(tmp_path, "variance", v)
    with pytest.warns(UserWarning, match="beside a value") as told:
        model = fit(effects, files)
    (one,) = told
    assert str(one.message).startswith("variances are NaN or 0 beside a value at voxels of 2 of 6 "
                                       "images: 02 (3 voxels), 05 (1 voxel);")  # fmt: skip
    assert one.filename == __file__
    n = np.asarray(model.n_observations_.dataobj)
    assert n[3, 3, 3] == n[3, 3, 4] == n[3, 3, 6] == N - 1
    assert n[5, 5, 5] == N - 2
    v[4] = 0.0
    refused(r"variances are NaN or 0 wherever the images of image 5 in memory have a value",
            "variances", images(maps.y), images(v))  # fmt: skip


def test_one_image_that_decides_is_named(maps: Maps, tmp_path: Path) -> None:
    v = maps.sd**2
    v[3] /= 1000
    variances = maps.files(tmp_path, "variance", v)
    with pytest.warns(UserWarning, match=r"one image has over half of the weight at many voxels: "
                      r"04 \([0-9,]+ of 1,320 voxels\); .* Check its variances"):  # fmt: skip
        fit(maps.files(tmp_path, "effect"), variances)


@pytest.mark.parametrize("model", ["ols", "unequal variances"])
def test_a_column_that_the_model_does_not_take_is_reported(maps: Maps, model: str) -> None:
    """Both doors say so; the numbers are those without the column."""
    column = "variances_map_path"
    table = pd.DataFrame(
        {"subject_label": LABELS, "map_name": "a", "effects_map_path": images(maps.y)}
    )
    groups = np.array([1.0] * 3 + [0.0] * 3)
    design = pd.DataFrame({"a": groups, "b": 1 - groups})
    told = f"the column {column} of second_level_input has no effect: the model '{model}' takes no"
    with pytest.warns(UserWarning, match=told):
        found = SecondLevelModel(MASK, model=model).fit(
            table.assign(**{column: images(maps.sd**2)}), design_matrix=design
        )
    alone = SecondLevelModel(MASK, model=model).fit(table, design_matrix=design)
    one, other = (np.asarray(each.compute_contrast("a - b").dataobj) for each in (found, alone))
    np.testing.assert_array_equal(one, other)
    if model != "ols":
        return
    with pytest.warns(UserWarning, match=told):
        non_parametric_inference(
            table.assign(**{column: images(maps.sd**2)}), design_matrix=design,
            second_level_contrast="a - b", mask=MASK, n_perm=19, random_state=0, model=model,
        )  # fmt: skip


def few(seed: int, n_images: int, n_places: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Effects and their standard errors at few places, with true effects at some of them."""
    rng = np.random.default_rng(seed)
    sd = np.exp(rng.normal(0, 0.5, (n_images, n_places)))
    truth = 1.0 * (rng.uniform(size=n_places) < 0.1)
    return truth + sd * rng.normal(size=sd.shape), sd


GIVEN = {
    "variance": lambda y, sd: sd**2,
    "se": lambda y, sd: sd,
    "|t|": lambda y, sd: np.abs(y / sd),
    "F": lambda y, sd: (y / sd) ** 2,
    "other unit": lambda y, sd: 1e4 * sd**2,
    "se in other units": lambda y, sd: 1e-4 * sd**2,
}


@pytest.mark.parametrize("kind", GIVEN)
def test_few_places_of_more_images_tell_too(kind: str) -> None:
    """Sixty places of twenty images: one image tells nothing, all together do."""
    words = {
        "se": "look like standard errors or statistics",
        "|t|": "look like standard errors or statistics",
        "F": "look like statistics",
        "other unit": r"look too large for these effects.* is 0\.0",
        "se in other units": "look too small for these effects",
    }
    for seed in range(30):
        y, sd = few(seed, 20, 60)
        sample = VarianceSample()
        for row in zip(y, GIVEN[kind](y, sd), strict=True):
            sample.look(0, np.stack(row))
        if kind == "variance":
            sample.warn()
        else:
            with pytest.warns(UserWarning, match=words[kind]):
                sample.warn()
