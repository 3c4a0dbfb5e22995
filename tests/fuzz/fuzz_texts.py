# SPDX-License-Identifier: BSD-3-Clause
"""Search, led by coverage, for texts that make reading a formula, contrast or Stats Model go wrong.

python tests/fuzz/fuzz_texts.py --seconds 60
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))
with atheris.instrument_imports(
    include=[
        "groupglm.bids",
        "groupglm.design.column_names",
        "groupglm.design.contrasts",
        "groupglm.design.expressions",
        "groupglm.inputs",
    ]
):
    from fuzz import user_texts
from fuzz.harness import Target, main


def _mutate(case: bytes, most: int, seed: int) -> bytes:
    """Change any bytes, or put, take away or repeat words of the notation."""
    rng = random.Random(seed)  # noqa: S311
    if len(case) < 3 or rng.random() < 0.3:
        changed: bytes = atheris.Mutate(case, most)
        return changed
    for _ in range(rng.randint(1, 3)):
        start = rng.randint(1, len(case))
        stop = min(len(case), start + rng.choice((0, 0, 1, 3, 10)))
        word = rng.choice(user_texts.WORDS).encode() * rng.choice((1, 1, 1, 1, 2, 50))
        if rng.random() < 0.2:
            word = case[start:stop] * 2
        case = case[:start] + word + case[stop:]
    return case[:most]


if __name__ == "__main__":
    main(
        Target(
            description="Fuzz the reading of formulas, contrasts and Stats Models.",
            cases=user_texts.cases,
            check=user_texts.check,
            mutate=_mutate,
            max_case_bytes=4096,
            memory_bytes=4 * 2**30,
            growth_bytes=800 * 2**20,
        )
    )
