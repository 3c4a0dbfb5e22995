# SPDX-License-Identifier: BSD-3-Clause
"""Write the maps that the benches read: one 2 mm whole-brain effect map a subject.

The brain is an ellipsoid of exactly 235,375 voxels in the 99 x 117 x 95 box of the usual 2 mm
template; the map is smooth signal and smooth noise inside, zero outside, float32, gzipped (about
1 MB each). The same seed writes the same voxels.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy import ndimage

Image: Any = nib.Nifti1Image  # nibabel is not typed throughout


@dataclass(frozen=True)
class Size:
    """A grid, the voxels of its mask, and how many maps."""

    shape: tuple[int, int, int]
    n_voxels: int
    n_maps: int


FULL = Size((99, 117, 95), 235_375, 100)
QUICK = Size((33, 39, 32), 9_000, 12)

AFFINE = np.array([[2.0, 0, 0, -98], [0, 2.0, 0, -134], [0, 0, 2.0, -72], [0, 0, 0, 1]])


def brain(size: Size) -> npt.NDArray[np.bool_]:
    """Take the n_voxels voxels nearest to the centre, in units of the box."""
    half = (np.array(size.shape)[:, None, None, None] - 1) / 2
    distance = (((np.indices(size.shape) - half) / half) ** 2).sum(axis=0)
    inside = np.zeros(size.shape, dtype=bool)
    # A stable sort breaks the ties of symmetric voxels in the same way everywhere.
    inside.flat[np.argsort(distance, axis=None, kind="stable")[: size.n_voxels]] = True
    return inside


def make_maps(folder: Path, size: Size = FULL) -> tuple[list[Path], Path]:
    """Write the maps that are not there yet; return their paths and the mask's."""
    folder = folder / f"{size.n_maps}-maps-of-{size.n_voxels}-voxels"
    folder.mkdir(parents=True, exist_ok=True)
    inside = brain(size)
    mask = folder / "mask.nii.gz"
    if not mask.exists():
        nib.save(Image(inside.astype(np.uint8), AFFINE), mask)
    paths = [folder / f"sub-{i:03d}.nii.gz" for i in range(size.n_maps)]
    missing = [(i, path) for i, path in enumerate(paths) if not path.exists()]
    signal = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=size.shape), 6.0)
    signal /= signal.std()
    for i, path in missing:
        write(path, np.where(inside, 0.5 * signal + smooth_noise(size, [2, i]), 0.0))
    return paths, mask


def make_variances(folder: Path, size: Size = FULL) -> list[Path]:
    """Write the variance maps of these maps that are not there yet: 0.1 to 2, zero outside."""
    folder = folder / f"{size.n_maps}-maps-of-{size.n_voxels}-voxels"
    inside = brain(size)
    paths = [folder / f"sub-{i:03d}_variance.nii.gz" for i in range(size.n_maps)]
    missing = [(i, path) for i, path in enumerate(paths) if not path.exists()]
    for i, path in missing:
        write(path, np.where(inside, 0.5 * np.exp(0.5 * smooth_noise(size, [3, i])), 0.0))
    return paths


def smooth_noise(size: Size, seed: list[int]) -> npt.NDArray[np.float32]:
    """Draw noise of a standard deviation of one."""
    noise = np.random.default_rng(seed).normal(size=size.shape).astype(np.float32)
    smooth = ndimage.gaussian_filter(noise, 1.3)
    result: npt.NDArray[np.float32] = smooth / smooth.std()
    return result


def write(path: Path, values: npt.NDArray[Any]) -> None:
    """Write float32 under another name first: an interrupted run leaves no half map behind."""
    partial = path.with_name(f"partial-{path.name}")
    nib.save(Image(values.astype(np.float32), AFFINE), partial)
    partial.rename(path)


def default_folder() -> Path:
    return Path(tempfile.gettempdir()) / "groupglm-bench"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, default=default_folder(), help="where to keep the maps")
    parser.add_argument("--quick", action="store_true", help="a few small maps")
    options = parser.parse_args()
    paths, mask = make_maps(options.dir, QUICK if options.quick else FULL)
    total = sum(path.stat().st_size for path in paths)
    print(f"{len(paths)} maps of {total / len(paths) / 1e6:.2f} MB beside {mask}")


if __name__ == "__main__":
    main()
