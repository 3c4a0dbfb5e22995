# SPDX-License-Identifier: BSD-3-Clause
"""Where public data for tests lie, on machines that have them."""

import os
from pathlib import Path

import pytest


def data_dir(name: str) -> Path:
    """Return a folder of test data, or skip the test that asks for it.

    Parameters
    ----------
    name : str
        The folder's name. It is looked for in $GROUPGLM_TEST_DATA, then in ``shared/data`` beside
        the repository.

    Returns
    -------
    pathlib.Path
        The folder.
    """
    root = os.environ.get("GROUPGLM_TEST_DATA")
    repository = Path(__file__).resolve().parents[2]
    base = Path(root) if root else repository.parent / "shared" / "data"
    folder = base / name
    if not folder.is_dir():
        pytest.skip(f"no test data in {folder}; set GROUPGLM_TEST_DATA to the folder that has them")
    return folder
