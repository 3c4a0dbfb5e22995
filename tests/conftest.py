# SPDX-License-Identifier: BSD-3-Clause
"""What holds for all tests: no open figures, and no limit of time that a busy machine breaks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def no_open_figures() -> Iterator[None]:
    """Close the figures that a test leaves open in pyplot, which warns of more than twenty."""
    yield
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")
