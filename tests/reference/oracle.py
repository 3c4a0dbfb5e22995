# SPDX-License-Identifier: BSD-3-Clause
"""nilearn beside us: made-up images and designs, its model quietly fitted, and maps compared."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pandas as pd

# nibabel is not typed throughout.
Image: Any = nib.Nifti1Image
concat: Any = nib.funcs.concat_images

SHAPE = (9, 10, 8)
AFFINE = np.array([[3.0, 0, 0, -12], [0, 3.0, 0, -15], [0, 0, 3.0, -9], [0, 0, 0, 1]])
N_IMAGES = 16
OUTPUTS = ("z_score", "stat", "p_value", "effect_size", "effect_variance")
MAP_NAME = "faces"

# Our maps are float32: 2^-24 relative is theirs to lose. A z-score or a log p-value inherits the
# error of the statistic multiplied by about |z|, here below 40.
FLOAT32 = 2.0**-24

Kind = Literal["paths", "Series", "memory", "4D", "4D path", "table"]
KINDS: tuple[Kind, ...] = ("paths", "Series", "memory", "4D", "4D path", "table")


def brain() -> npt.NDArray[np.bool_]:
    """An ellipsoid that leaves a margin."""
    where = np.indices(SHAPE) - (np.array(SHAPE)[:, None, None, None] - 1) / 2
    inside: npt.NDArray[np.bool_] = (where**2).sum(axis=0) < 14.0
    return inside


def image(values: Any, affine: Any = AFFINE) -> Any:
    """An image of the values on the study's grid."""
    return Image(values, affine)


def mask_image(inside: Any = None) -> Any:
    """The brain, or another mask, as an image."""
    return image((brain() if inside is None else inside).astype(np.uint8))


def volumes(dtype: type[np.floating[Any]] = np.float64) -> npt.NDArray[Any]:
    """Draw one map an image: an effect that fades along x, noise, zero outside the brain."""
    rng = np.random.default_rng(20)
    effect = np.linspace(-1.5, 3.0, SHAPE[0])[:, None, None]
    noise = rng.normal(size=(N_IMAGES, *SHAPE))
    return np.where(brain(), 5.0 + effect + noise, 0.0).astype(dtype)


def save(imgs: Sequence[Any], folder: Path) -> list[str]:
    """Write images to files, map00.nii.gz and so on."""
    paths = [str(folder / f"map{i:02d}.nii.gz") for i in range(len(imgs))]
    for img, path in zip(imgs, paths, strict=True):
        nib.save(img, path)
    return paths


def map_table(paths: Sequence[str]) -> pd.DataFrame:
    """A table of maps, one a subject: 00, 01 and so on."""
    labels = [f"{i:02d}" for i in range(len(paths))]
    return pd.DataFrame(
        {"subject_label": labels, "map_name": MAP_NAME, "effects_map_path": list(paths)}
    )


def hand_over(imgs: Sequence[Any], kind: Kind, folder: Path) -> Any:
    """The images in one of the forms that a model takes."""
    if kind == "memory":
        return list(imgs)
    if kind == "4D":
        return concat(list(imgs))
    if kind == "4D path":
        nib.save(concat(list(imgs)), folder / "all.nii.gz")
        return str(folder / "all.nii.gz")
    paths = save(imgs, folder)
    if kind == "table":
        return map_table(paths)
    return pd.Series(paths) if kind == "Series" else paths


@contextmanager
def quiet() -> Iterator[None]:
    """nilearn's remarks about plotting and masks say nothing about the numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def quietly(function: Any, *args: Any, **kwargs: Any) -> Any:
    """What a function returns, without its remarks on empty tables and defaults to come."""
    with quiet():
        return function(*args, **kwargs)


def nilearn_fit(
    given: Any, design: Any = None, confounds: pd.DataFrame | None = None, **options: Any
) -> Any:
    """Fit nilearn's model."""
    with quiet():
        from nilearn.glm.second_level import SecondLevelModel as Theirs

        return Theirs(**options).fit(given, confounds=confounds, design_matrix=design)


def nilearn_contrast(model: Any, contrast: Any = None, *args: Any, **options: Any) -> Any:
    """Compute a contrast of nilearn's model."""
    with quiet():
        return model.compute_contrast(contrast, *args, **options)


def in_mask(mask_img: Any) -> npt.NDArray[np.bool_]:
    """Where a mask is not zero."""
    mask: npt.NDArray[np.bool_] = mask_img.get_fdata() > 0
    return mask


def assert_same_map(
    found: Any,
    wanted: Any,
    mask: npt.NDArray[np.bool_],
    name: str,
    *,
    rtol: float,
) -> None:
    """Compare inside the mask; outside both are zero."""
    np.testing.assert_array_equal(found.affine, wanted.affine)
    ours, theirs = (np.squeeze(img.get_fdata()) for img in (found, wanted))
    assert ours.shape == theirs.shape
    assert not np.any(ours[~mask])
    a, b = ours[mask], theirs[mask]
    if name == "p_value":
        # d log p = z dz: the error of the statistic, as many times as there are nepers.
        steps = 1.0 - np.log(np.maximum(b, 1e-300))
        representable = b > 1e-37  # below that float32 has fewer bits
        error = np.abs(a / np.where(b == 0, 1, b) - 1)[representable]
        assert np.all(error <= (2 * rtol * steps + FLOAT32)[representable]), error.max()
        assert np.all(a[~representable] <= 1.01e-37)
        return
    if name == "z_score":
        unclipped = np.abs(b) < 37.0  # where nilearn's own limit at p = 1e-300 does not bite
        a, b = a[unclipped], b[unclipped]
    np.testing.assert_allclose(a, b, rtol=rtol + FLOAT32, atol=rtol * np.median(np.abs(b)))
