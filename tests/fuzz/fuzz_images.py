# SPDX-License-Identifier: BSD-3-Clause
"""Search, led by coverage, for bytes that make reading an image go wrong.

    python tests/fuzz/fuzz_images.py --seconds 60

The corpus is made anew from sound files of every kind; ``--corpus FOLDER`` keeps what is found for
the next run. A case that fails is written to ``--findings`` (the working folder by default), and
``--replay FILE`` runs it again.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import random
import resource
import shutil
import struct
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))
with atheris.instrument_imports(include=["groupglm.images"]):
    from fuzz import image_files

MAX_CASE_BYTES = 8192
SECONDS_A_CASE = 10
# A case declares at most 1032 times its size, as float64 (bzip2 more, but only what is there).
MEMORY_BYTES = 3 * 2**30
GROWTH_BYTES = 400 * 2**20

# What a header's fields may hold that nobody expects, in both byte orders.
_INTEGERS = (0, 1, 2, 4, 7, 8, 16, 64, 128, 255, 348, 352, 512, 540, 544, 1792, 32767, 65535, 2**31)
_FLOATS = (0.0, -1.0, 0.5, 1e-30, 1e30, 3.4e38, float("inf"), float("nan"), 352.0)
VALUES = [
    (sign * integer).to_bytes(size, order, signed=True)
    for integer in _INTEGERS
    for sign in (1, -1)
    for size in (2, 4, 8)
    for order in ("little", "big")
    if integer < 2 ** (8 * size - 1)
] + [struct.pack(order + kind, value) for value in _FLOATS for order in "<>" for kind in "fd"]


def main() -> None:
    """Run the fuzzer for some seconds, or replay findings."""
    parser = argparse.ArgumentParser(description="Fuzz the reading of images.")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--findings", type=Path, default=Path())
    parser.add_argument("--replay", type=Path, nargs="+", default=[])
    args = parser.parse_args()
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL + 1)
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    before = _peak_bytes()
    memory = Path("/dev/shm")  # noqa: S108 (only where the files are faster)
    work = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    if args.replay:
        for finding in args.replay:
            print(finding, _one(finding.read_bytes(), work, before))  # noqa: T201
        shutil.rmtree(work)
        return
    corpus = args.corpus or work / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for case in image_files.cases():
        (corpus / hashlib.sha256(case).hexdigest()).write_bytes(case)
    args.findings.mkdir(parents=True, exist_ok=True)

    def one_input(data: bytes) -> None:
        if data:
            _one(data, work, before)

    options = [
        f"-max_total_time={args.seconds}",
        f"-max_len={MAX_CASE_BYTES}",
        "-len_control=0",
        f"-timeout={SECONDS_A_CASE}",
        f"-rss_limit_mb={MEMORY_BYTES >> 20}",
        f"-artifact_prefix={args.findings}/",
        "-print_final_stats=1",
        "-verbosity=1",
        str(corpus),
    ]
    atheris.Setup([sys.argv[0], *options], one_input, custom_mutator=_mutate)
    # The search ends the process without unwinding it.
    atheris.Fuzz()


def _mutate(case: bytes, most: int, seed: int) -> bytes:
    """Change any bytes, or put a value into what may be a field of the header."""
    rng = random.Random(seed)  # noqa: S311
    if len(case) < 16 or rng.random() < 0.5:
        changed: bytes = atheris.Mutate(case, most)
        return changed
    value = rng.choice(VALUES)
    # Fields are aligned from the second byte on: the first is the kind.
    start = 1 + 2 * rng.randrange(min(len(case), 540) // 2 - 4)
    return (case[:start] + value + case[start + len(value) :])[:most]


def _one(case: bytes, work: Path, before: int) -> str:
    folder = work / "case"
    folder.mkdir(exist_ok=True)
    for left in folder.iterdir():
        left.unlink()
    outcome = image_files.check(case, folder)
    if _peak_bytes() - before > GROWTH_BYTES:
        raise MemoryError(f"a case of {len(case)} bytes took more than {GROWTH_BYTES} bytes")
    return outcome


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
