# SPDX-License-Identifier: BSD-3-Clause
"""The functions around the model: what long work shows."""

from __future__ import annotations

import io
import re
import sys

import numpy as np
import pytest

import groupglm


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_permutations_show_how_far_they_are_and_the_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    Y = np.random.default_rng(0).normal(size=(20, 20_000))
    groupglm.permuted_ols(np.ones(20), Y, n_perm=20_000, random_state=0, verbose=1)
    # 40%|####      | 8000/20000 [00:01<00:02, 5000 permutations/s]
    states = re.findall(r"(\d+)/20000 \[\d+:\d+<(\d+:\d+)", shown.getvalue())
    assert any(0 < int(done) < 20_000 for done, _ in states)
    quiet = Terminal()
    monkeypatch.setattr(sys, "stderr", quiet)
    groupglm.permuted_ols(np.ones(20), Y[:, :50], n_perm=50, random_state=0)
    assert quiet.getvalue() == ""
