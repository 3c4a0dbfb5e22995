# SPDX-License-Identifier: BSD-3-Clause
"""Search, led by coverage, for models, permutation states, sidecars and tables that go wrong.

python tests/fuzz/fuzz_files.py --seconds 60
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import sys
import zipfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))
with atheris.instrument_imports(
    include=[
        "groupglm.runtime.array_archives",
        "groupglm.inference.permutation.resuming",
        "groupglm.inputs.matching",
        "groupglm.estimator.model_file_facts",
        "groupglm.estimator.saving",
        "groupglm.models.fixed",
        "groupglm.models.mixed",
        "groupglm.models.ols",
        "groupglm.models.weighted",
        "groupglm.runtime.json_facts",
        "groupglm.runtime.sidecars",
        "groupglm.spaces.volume.kind",
        "groupglm.estimator.model_file",
        "groupglm.tabular.files",
    ]
):
    from fuzz import own_files
from fuzz.harness import Target, main


def _mutate(case: bytes, most: int, seed: int) -> bytes:
    """Change any bytes; of an archive, mostly within a member, and the sums with it."""
    rng = random.Random(seed)  # noqa: S311
    if case[:1] in (b"\0", b"\1") and rng.random() < 0.7:
        changed = _within_member(case, rng)
        if changed is not None:
            return changed[:most]
    found: bytes = atheris.Mutate(case, most)
    return found


def _within_member(case: bytes, rng: random.Random) -> bytes | None:
    try:
        with zipfile.ZipFile(io.BytesIO(case[1:])) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        name = rng.choice(sorted(members))
        members[name] = atheris.Mutate(members[name], len(members[name]) + 64)
        if name in _sums(members):
            facts = json.loads(members["model.json"])
            facts["checksums"][name] = hashlib.sha256(members[name]).hexdigest()
            members["model.json"] = json.dumps(facts).encode()
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for member, data in members.items():
                archive.writestr(member, data)
    except Exception:  # no archive any more
        return None
    return case[:1] + buffer.getvalue()


def _sums(members: dict[str, bytes]) -> dict[str, str]:
    """Return the checksums that a saved model lists; none of another archive."""
    facts = json.loads(members.get("model.json", b"{}"))
    sums: dict[str, str] = facts.get("checksums", {})
    return sums


if __name__ == "__main__":
    main(
        Target(
            description="Fuzz the reading of models, permutation states, sidecars and tables.",
            cases=own_files.cases,
            check=own_files.check,
            mutate=_mutate,
            max_case_bytes=16384,
            memory_bytes=4 * 2**30,
            growth_bytes=800 * 2**20,
        )
    )
