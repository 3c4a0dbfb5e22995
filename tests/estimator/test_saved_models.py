# SPDX-License-Identifier: BSD-3-Clause
"""Models kept in a file: the same results elsewhere, and no harm from any file."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.exceptions import NotFittedError

from groupglm import SecondLevelModel, fit_ols
from groupglm.errors import ImageError
from reference.damaging import damaged_copies, npy, rewrite_model
from reference.first_models import COUNTED, FIRST, first_data
from reference.first_models import SHAPE as FIRST_SHAPE

SHAPE = (9, 8, 7)


def _images(n: int, *, missing: bool = False) -> list[nib.Nifti1Image]:
    rng = np.random.default_rng(3)
    brain = np.pad(np.ones([length - 4 for length in SHAPE]), 2)
    images = []
    for subject in range(n):
        data = (brain * (rng.standard_normal(SHAPE) + 5)).astype(np.float32)
        if missing and subject % 3 == 0:
            data[2 + subject % 2, 3, 3] = np.nan
        images.append(nib.Nifti1Image(data, np.diag([3.0, 3, 3, 1])))  # type: ignore[no-untyped-call]
    return images


def _design(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    return pd.DataFrame({"age": rng.uniform(20, 60, n), "group": np.arange(n) % 2, "mean": 1.0})


def _fitted(**options: Any) -> SecondLevelModel:
    n, missing = 12, options.pop("with_missing", False)
    return SecondLevelModel(**options).fit(_images(n, missing=missing), design_matrix=_design(n))


def _values(image: Any) -> Any:
    return np.asanyarray(image.dataobj)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"with_missing": True},
        {"with_missing": True, "missing": "zero"},
        {"smoothing_fwhm": 4.0},
        {"target_affine": np.diag([4.0, 4, 4])},
        {"n_jobs": 2, "minimize_memory": False},
    ],
    ids=lambda options: "-".join(options) or "plain",
)
def test_contrasts_of_a_loaded_model_are_the_same_bits(
    options: dict[str, Any], tmp_path: Path
) -> None:
    model = _fitted(**options)
    loaded = SecondLevelModel.load(model.save(tmp_path / "m.groupglm"))
    for contrast in ("age", "group - age", ["age", "group"], [0, 0, 1]):
        expected = model.compute_contrast(contrast, output_type="all")
        found = loaded.compute_contrast(contrast, output_type="all")
        for kind, image in expected.items():
            np.testing.assert_array_equal(_values(found[kind]), _values(image), err_msg=kind)
            np.testing.assert_array_equal(found[kind].affine, image.affine)
            assert found[kind].header == image.header
    np.testing.assert_array_equal(_values(loaded.mask_img_), _values(model.mask_img_))
    np.testing.assert_array_equal(_values(loaded.n_observations_), _values(model.n_observations_))
    pd.testing.assert_frame_equal(
        loaded.design_matrix_, model.design_matrix_.astype(float), check_index_type=False
    )
    image = _images(1)[0]
    np.testing.assert_array_equal(loaded.transform([image]), model.transform([image]))
    if not model.minimize_memory:
        np.testing.assert_array_equal(_values(loaded.predicted_), _values(model.predicted_))
        np.testing.assert_array_equal(_values(loaded.r_square_), _values(model.r_square_))


def test_another_process_computes_the_contrast_without_the_images(tmp_path: Path) -> None:
    paths = []
    for i, image in enumerate(_images(6)):
        paths.append(str(tmp_path / f"sub-{i}.nii.gz"))
        nib.save(image, paths[-1])
    model = SecondLevelModel().fit(paths, design_matrix=_design(6))
    file = model.save(tmp_path / "m.groupglm")
    for path in paths:
        Path(path).unlink()
    code = (
        "import sys; from groupglm import SecondLevelModel\n"
        "SecondLevelModel.load(sys.argv[1]).compute_contrast('age').to_filename(sys.argv[2])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    out = tmp_path / "z.nii"
    done = subprocess.run(  # noqa: S603 - this interpreter, our arguments
        [sys.executable, "-c", code, str(file), str(out)],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(_values(nib.load(out)), _values(model.compute_contrast("age")))


def test_what_needs_the_images_says_so(tmp_path: Path) -> None:
    file = _fitted(minimize_memory=False).save(tmp_path / "m.groupglm")
    loaded = SecondLevelModel.load(file)
    with pytest.raises(ImageError, match=r"values are not in '.*m\.groupglm'.*fitted here"):
        loaded.residuals_  # noqa: B018


def test_the_mask_given_is_the_one_of_the_fit(tmp_path: Path) -> None:
    mask = nib.Nifti1Image(np.pad(np.ones((3, 3, 3), np.uint8), ((3, 3), (3, 2), (2, 2))),
                           np.diag([3.0, 3, 3, 1]))  # type: ignore[no-untyped-call]  # fmt: skip
    model = SecondLevelModel(mask_img=mask).fit(_images(8), design_matrix=_design(8))
    loaded = SecondLevelModel.load(model.save(tmp_path / "m"))
    assert loaded.mask_img is not None
    assert SecondLevelModel.load(_fitted().save(tmp_path / "n")).mask_img is None
    again = loaded.fit(_images(8), design_matrix=_design(8))
    np.testing.assert_array_equal(
        _values(again.compute_contrast("age")), _values(model.compute_contrast("age"))
    )


def test_several_kinds_of_maps(tmp_path: Path) -> None:
    rows = []
    for i, image in enumerate(_images(12)):
        path = tmp_path / f"{i}.nii"
        nib.save(image, path)
        name = ("faces", "houses", "tools")[i % 3]
        rows.append((f"s{i // 3}", name, str(path)))
    table = pd.DataFrame(rows, columns=["subject_label", "map_name", "effects_map_path"])
    design = pd.DataFrame({"mean": np.ones(4)})
    model = SecondLevelModel().fit(table, design_matrix=design)
    with pytest.raises(AttributeError, match="several kinds"):
        model.save(tmp_path / "m")
    expected = {
        name: _values(model.compute_contrast("mean", first_level_contrast=name))
        for name in ("faces", "houses")
    }
    loaded = SecondLevelModel.load(model.save(tmp_path / "m"))
    for name, values in expected.items():
        found = loaded.compute_contrast("mean", first_level_contrast=name)
        np.testing.assert_array_equal(_values(found), values)
    unknown: tuple[str | None, ...] = ("tools", None)
    for other in unknown:
        with pytest.raises(ValueError, match="holds the fits of 'faces', 'houses'"):
            loaded.compute_contrast("mean", first_level_contrast=other)


def test_a_first_level_contrast_has_no_effect_on_images(tmp_path: Path) -> None:
    loaded = SecondLevelModel.load(_fitted().save(tmp_path / "m"))
    with pytest.warns(UserWarning, match="has no effect"):
        loaded.compute_contrast("age", first_level_contrast="faces")


def test_before_fit() -> None:
    with pytest.raises(NotFittedError):
        SecondLevelModel().save("nowhere")


def test_equal_models_give_equal_files_that_numpy_opens(tmp_path: Path) -> None:
    first = _fitted().save(tmp_path / "a").read_bytes()
    second = _fitted().save(tmp_path / "b").read_bytes()
    assert first == second
    with np.load(tmp_path / "a", allow_pickle=False) as arrays:
        # X, from its definition; 8 (p + 2) bytes a voxel as documented, p = 3, 5 x 4 x 3 voxels.
        np.testing.assert_array_equal(arrays["0/X"], _design(12).to_numpy(float))
        assert arrays["0/w"].nbytes + arrays["0/rss"].nbytes <= 8 * (3 + 2) * 60


def test_an_interrupted_save_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = _fitted()
    file = model.save(tmp_path / "m")
    before = file.read_bytes()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.save(file)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert file.read_bytes() == before


HOSTILE: dict[str, tuple[Callable[[dict[str, Any], dict[str, bytes]], Any], str]] = {
    "no array": (lambda f, m: m.pop("0/w.npy"), "lacks"),
    "a foreign format": (lambda f, m: f.update(format="other"), "not a saved model"),
    "a later version": (lambda f, m: f.update(version=3), "version 3"),
    "a pickle": (
        lambda f, m: m.update({"0/rss.npy": npy(np.array([print], object), pickled=True)}),
        "not an array",
    ),
    "a header that lies": (
        lambda f, m: m.update({"0/w.npy": m["0/w.npy"].replace(b"(3, 60)", b"(9, 99)")}),
        "not an array|float64",
    ),
    "another type": (
        lambda f, m: m.update({"0/rss.npy": npy(np.zeros(60, np.float32))}),
        "rss is float32",
    ),
    "too few voxels": (lambda f, m: m.update({"0/rss.npy": npy(np.zeros(59))}), "60 voxels"),
    "runs outside the grid": (
        lambda f, m: m.update({"0/runs.npy": npy(np.array([[0, 10**9]]))}),
        "within the grid",
    ),
    "a negative run": (
        lambda f, m: m.update({"0/runs.npy": npy(np.array([[0, 70], [80, -10]]))}),
        "within the grid",
    ),
    "a huge grid": (lambda f, m: f["fits"][0]["space"].update(shape=[1, 1, 10]), "within the grid"),
    "an infinite design": (
        lambda f, m: m.update({"0/X.npy": npy(np.full((12, 3), np.inf))}),
        "not finite",
    ),
    "another design": (
        lambda f, m: (
            m.update({"0/X.npy": npy(np.ones((12, 2)))}),
            f["fits"][0].update(columns=["a", "b"]),
        ),
        "dimensions",
    ),
    "a slot out of range": (
        lambda f, m: m.update({"0/missing_slot.npy": npy(np.full(60, 7, np.int32))}),
        "damaged",
    ),
    "columns that are none": (lambda f, m: f["fits"][0].update(columns=3), "damaged"),
    "settings that are none": (lambda f, m: f["fits"][0]["model"].update(settings=3), "damaged"),
    "settings of another model": (
        lambda f, m: f["fits"][0]["model"].update(settings={"tau2": "reml"}),
        "damaged model, or one of a later version: the model 'ols' has not the settings",
    ),
    "no fits": (lambda f, m: f.update(fits=[]), "damaged"),
    "fits that are none": (lambda f, m: f.update(fits=7), "damaged"),
    "no parameters": (lambda f, m: f.pop("parameters"), "lacks 'parameters'"),
    "an unknown rule": (lambda f, m: f["parameters"].update(missing="guess"), "guess"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_file_that_was_tampered_with_is_refused(what: str, tmp_path: Path) -> None:
    file = _fitted().save(tmp_path / "m.groupglm")
    change, told = HOSTILE[what]
    rewrite_model(file, change)
    with pytest.raises(ValueError, match=told) as caught:
        SecondLevelModel.load(file)
    assert "m.groupglm" in str(caught.value)


def test_a_changed_array_is_found_by_its_checksum(tmp_path: Path) -> None:
    file = _fitted().save(tmp_path / "m")
    rewrite_model(file, lambda f, m: m.update({"0/rss.npy": npy(np.zeros(60))}), checksums=False)
    with pytest.raises(ValueError, match=r"checksum of 0/rss\.npy"):
        SecondLevelModel.load(file)


def test_an_array_stored_by_columns_is_read_as_it_is(tmp_path: Path) -> None:
    model = _fitted()
    file = model.save(tmp_path / "model.ggm")
    w = np.load(io.BytesIO(zipfile.ZipFile(file).read("0/w.npy")))
    X = np.load(io.BytesIO(zipfile.ZipFile(file).read("0/X.npy")))
    by_columns = {"0/w.npy": npy(np.asfortranarray(w)), "0/X.npy": npy(np.asfortranarray(X))}
    assert b"'fortran_order': True" in by_columns["0/w.npy"]
    rewrite_model(file, lambda f, m: m.update(by_columns))
    loaded = SecondLevelModel.load(file)
    np.testing.assert_array_equal(loaded.results_.X, model.results_.X)
    np.testing.assert_array_equal(loaded.results_.beta, model.results_.beta)


def test_a_compressed_member_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    file = _fitted().save(tmp_path / "m")
    rewrite_model(file, lambda f, m: None, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="is compressed"):
        SecondLevelModel.load(file)


def test_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        SecondLevelModel.load(tmp_path / "absent")
    text = tmp_path / "text"
    text.write_text("not a model")
    with pytest.raises(ValueError, match="not a saved model"):
        SecondLevelModel.load(text)
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match=r"without model\.json"):
        SecondLevelModel.load(tmp_path / "other.npz")


def test_every_truncation_and_flipped_byte_is_refused_or_harmless(tmp_path: Path) -> None:
    model = _fitted()
    good = model.save(tmp_path / "m").read_bytes()
    expected = _values(model.compute_contrast("age"))
    bad = tmp_path / "bad"
    refused = 0
    for data in damaged_copies(good, 300):
        bad.write_bytes(data)
        try:
            loaded = SecondLevelModel.load(bad)
        except ValueError:
            refused += 1
        else:  # a byte that means nothing, such as a date
            np.testing.assert_array_equal(_values(loaded.compute_contrast("age")), expected)
    assert refused > 200


@pytest.mark.parametrize("kind", ["space", "model"])
def test_what_a_later_version_may_hold_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    file = _fitted().save(tmp_path / "m.groupglm")
    name = {"space": "fog", "model": "mixed"}[kind]
    rewrite_model(file, lambda f, m: f["fits"][0][kind].update(kind=name))
    told = rf"m\.groupglm' was saved by a later version: {kind} '{name}'; this groupglm knows '"
    with pytest.raises(ValueError, match=told):
        SecondLevelModel.load(file)


def test_a_space_and_a_model_say_what_they_are(tmp_path: Path) -> None:
    file = _fitted().save(tmp_path / "m.groupglm")
    facts = json.loads(zipfile.ZipFile(file).read("model.json"))
    assert facts["version"] == 2
    (fit,) = facts["fits"]
    assert fit["space"] == {"kind": "volume", "shape": list(SHAPE), "preparation": None}
    assert fit["model"] == {"kind": "ols"}


FIRST_HOSTILE: dict[str, tuple[Callable[[dict[str, Any], dict[str, bytes]], Any], str]] = {
    **{what: HOSTILE[what] for what in ("no array", "fits that are none", "a negative run")},
    "a huge grid": (lambda f, m: f["fits"][0].update(shape=[1, 1, 10]), "within the grid"),
    "no grid": (lambda f, m: f["fits"][0].pop("shape"), "space lacks 'shape'"),
    "a grid that is none": (lambda f, m: f["fits"][0].update(shape="large"), "shape of space is"),
    "a fit that is none": (lambda f, m: f.update(fits=[3]), "fits of model.json"),
    "a preparation that is none": (
        lambda f, m: f["fits"][0].update(preparation=3),
        "preparation of space is 3",
    ),
    "tags that it did not have": (lambda f, m: f["fits"][0].update(space="x", model=3), ""),
}


@pytest.mark.parametrize("what", FIRST_HOSTILE)
def test_a_file_of_version_1_that_was_tampered_with_is_refused(what: str, tmp_path: Path) -> None:
    file = tmp_path / "m.groupglm"
    file.write_bytes(COUNTED.read_bytes())
    change, told = FIRST_HOSTILE[what]
    rewrite_model(file, change)
    if not told:  # what means nothing there changes nothing
        np.testing.assert_array_equal(
            SecondLevelModel.load(file).results_.beta, SecondLevelModel.load(COUNTED).results_.beta
        )
        return
    with pytest.raises(ValueError, match=told) as caught:
        SecondLevelModel.load(file)
    assert "m.groupglm" in str(caught.value)


@pytest.mark.parametrize("file", [FIRST, COUNTED], ids=lambda file: file.stem)
def test_a_model_of_version_1_is_read(file: Path, tmp_path: Path) -> None:
    loaded = SecondLevelModel.load(file)
    data, design = first_data()
    t = _values(loaded.compute_contrast("age", output_type="stat")).ravel(order="F")
    for voxel in (0, 5, 59):
        keep = np.isfinite(data[:, voxel])
        slope = stats.linregress(design["age"][keep], data[keep, voxel].astype(np.float64))
        assert t[voxel] == pytest.approx(slope.slope / slope.stderr, rel=1e-6)  # float32 maps
    # The file has the first axis fastest; users see the order of image[mask].
    seen = np.arange(60).reshape(FIRST_SHAPE, order="F").ravel()
    wanted = fit_ols(design, data[:, seen])
    np.testing.assert_allclose(loaded.results_.beta, wanted.beta, rtol=1e-9)
    np.testing.assert_array_equal(loaded.results_.n_observations, wanted.n_observations)
    if file is FIRST:
        told = r"first\.groupglm' was saved by a version that did"
        with pytest.raises(AttributeError, match=told):
            _ = loaded.n_zeros_
    else:
        assert not _values(loaded.n_zeros_).any()
    again = SecondLevelModel.load(loaded.save(tmp_path / "again.groupglm"))
    np.testing.assert_array_equal(
        _values(again.compute_contrast("age")), _values(loaded.compute_contrast("age"))
    )
    page = loaded.generate_report("age", bg_img=None).get_standalone()
    assert "zero in some" not in page
