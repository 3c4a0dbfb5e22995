# SPDX-License-Identifier: BSD-3-Clause
"""`math_img` beside nilearn, and formulas that would do more than compute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nilearn.image import get_data as nilearn_data
from nilearn.image import math_img as nilearn_math

from groupglm import math_img
from groupglm.errors import ArgumentError, GridMismatchError
from groupglm.image import get_data
from reference.oracle import quiet

_SHAPE = (4, 3, 5)


def _image(seed: int = 0, dtype: Any = np.float32, *axes: int, size: float = 2.0) -> Any:
    values = np.random.default_rng(seed).normal(0, 9, (*_SHAPE, *axes)).astype(dtype)
    image: Any = nib.Nifti1Image(values, np.diag([size, size, size, 1.0]))  # type: ignore[no-untyped-call]
    image.header["pixdim"][4] = 2.5
    return image


@pytest.mark.parametrize(
    "formula",
    [
        "-np.log10(np.minimum(1, img * 21))",
        "img > 0",
        "(img - other) / (np.abs(img) + 1)",
        "np.where(img > other, img, -np.inf)",
        "img ** 2 + 3 % 2 - 7 // 2",
        "(img > 1) & ~(other > 1) | (img < -5)",
        "np.clip(img, -1.5, 2) * np.pi",
        "np.sqrt(img) + np.nan_to_num(np.log(other))",
        "np.mean(series, axis=-1)",
        "np.std(series, axis=3, keepdims=True)",
        "series[..., 0] - series[:, :, :, -1]",
        "series[..., 1:]",
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_formula_gives_nilearns_values(formula: str, dtype: Any) -> None:
    given = {"img": _image(1, dtype), "other": _image(2, dtype), "series": _image(3, dtype, 3)}
    used = {name: image for name, image in given.items() if name in formula}
    with quiet():
        theirs = nilearn_math(formula, **used)
    ours: Any = math_img(formula, **used)
    assert ours.shape == theirs.shape
    np.testing.assert_array_equal(np.asanyarray(ours.dataobj), np.asanyarray(theirs.dataobj))
    np.testing.assert_array_equal(ours.affine, theirs.affine)


@pytest.mark.parametrize(
    "formula",
    [
        "__import__('os').system('true')",
        "img.__class__",
        "img.tofile('stolen')",
        "np.load('secret.npy')",
        "np.save('stolen', img)",
        "np.fromfile('/etc/passwd')",
        "np.core",
        "np.add.__self__",
        "np.zeros(10**12)",
        "np.add(img, 1, img)",
        "np.sqrt(img, img)",
        "np.isnan(img, img)",
        "np.nan_to_num(img, False)",
        "np.max(img, 0, img)",
        "np.clip(img, 0, 1, img)",
        "np.mean(img, dtype='U999999999')",
        "np.log(img, out=img)",
        "(lambda: img)()",
        "[v for v in img]",
        "f'{img}'",
        "'a' * 10**9",
        "img if True else img",
        "getattr(img, 'data')",
        "img[img > 0]",
        "img.dataobj",
        "open('x')",
        "img @ img",
        "img << 9",
        "np",
        "missing + img",
        "img +",
        "img; img",
        "img = 3",
        "(" * 300 + "img" + ")" * 300,
        "img" + "+img" * 5000,
        "-" * 1500 + "img",
        "img\x00",
        "3",
        "9**9**9",
        "np.mean(img)",
        "img[0]",
        "img[99]",
        "",
    ],
)
def test_a_formula_that_is_more_than_arithmetic_is_refused(
    formula: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    image = _image()
    before = np.array(image.dataobj)
    message = "Input formula couldn't be processed"
    with quiet(), pytest.raises(ArgumentError, match=message) as refused:
        math_img(formula, img=image)
    assert refused.value.argument == "formula"
    assert len(str(refused.value)) < 1000
    assert list(tmp_path.iterdir()) == []
    np.testing.assert_array_equal(image.dataobj, before)


def test_the_header_is_that_of_an_image_if_it_is_named() -> None:
    image = _image(0, np.float32, 3)
    kept: Any = math_img("series * 2", copy_header_from="series", series=image)
    bare: Any = math_img("series * 2", series=image)
    assert (kept.header["pixdim"][4], bare.header["pixdim"][4]) == (2.5, 1.0)
    with pytest.raises(ArgumentError, match="copy_header_from is 'x'"):
        math_img("series", copy_header_from="x", series=image)


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(GridMismatchError, match="Input images cannot be compared: b is not on"):
        math_img("a + b", a=_image(), b=_image(size=3.0))
    with pytest.warns(UserWarning, match=r"Some images \(\['b'\]\) are not mentioned"):
        math_img("a + 1", a=_image(), b=_image())
    with pytest.raises(ArgumentError, match="at least one image"):
        math_img("1")


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32, np.float64])
def test_values_are_nilearns(dtype: Any, tmp_path: Path) -> None:
    for image in (_image(0, dtype), _image(0, dtype, 3), _image(0, dtype, 2, 2)):
        image.to_filename(tmp_path / "image.nii.gz")
        for given in (image, tmp_path / "image.nii.gz"):
            values = get_data(given)
            expected = nilearn_data(given if given is image else str(given))
            assert values.dtype == expected.dtype
            np.testing.assert_array_equal(values, expected)
