# SPDX-License-Identifier: BSD-3-Clause
"""The kinds of data that exist for tests only, in the place of those that the package registers."""

from __future__ import annotations

import pytest

from contract.fake_spaces import CHAIN, HEAVY, PAIR
from groupglm.spaces import registry


@pytest.fixture
def fake_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_REGISTERED", [])
    for kind in (CHAIN, HEAVY, PAIR):
        registry.register(kind)  # type: ignore[arg-type]  # they have what these doors ask for
