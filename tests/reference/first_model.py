# SPDX-License-Identifier: BSD-3-Clause
"""A saved model as the first version wrote it, without numbers of zeros.

``python tests/reference/first_model.py`` has written it; it is kept, so that it stays readable.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

FILE = Path(__file__).parent / "models" / "first.groupglm"
SHAPE = (5, 4, 3)


def first_data() -> tuple[Any, pd.DataFrame]:
    """Return the data (n_images, n_voxels), in file order, and the design."""
    rng = np.random.default_rng(7)
    design = pd.DataFrame({"age": np.arange(8.0) ** 2, "mean": 1.0})
    data = rng.normal(3, 1, (8, 60)).astype(np.float32)
    data[2, 5] = np.nan
    return data, design


def without_zeros(data: bytes) -> bytes:
    """Return a saved model without the members that the first version did not write."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members = {name: own for name, own in members.items() if not name.endswith("/zeros.npy")}
    facts = json.loads(members["model.json"])
    facts["checksums"] = {name: own for name, own in facts["checksums"].items() if name in members}
    members["model.json"] = json.dumps(facts, indent=1).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, own in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), own)
    return buffer.getvalue()


def _write() -> None:
    from groupglm import SecondLevelModel

    data, design = first_data()
    images: list[Any] = [
        nib.Nifti1Image(row.reshape(SHAPE, order="F"), np.eye(4))  # type: ignore[no-untyped-call]
        for row in data
    ]
    mask: Any = nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4))  # type: ignore[no-untyped-call]
    model = SecondLevelModel(mask).fit(images, design_matrix=design)
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_bytes(without_zeros(model.save(FILE).read_bytes()))


if __name__ == "__main__":
    _write()
