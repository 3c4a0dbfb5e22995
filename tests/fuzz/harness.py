# SPDX-License-Identifier: BSD-3-Clause
"""Shared parts of all fuzzers: the command line, the corpus, and the search by libFuzzer.

The corpus is made again from sound cases; ``--corpus FOLDER`` keeps the new cases for the next run.
A case that fails is written to ``--findings`` (the working folder by default); ``--replay FILE``
runs it again.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import atheris

SECONDS_A_CASE = 10


@dataclass(frozen=True)
class Target:
    """What is fuzzed.

    Attributes
    ----------
    description : str
        Of the program.
    cases : callable
        Makes sound cases.
    check : callable
        Takes a case and an empty folder, and returns in a word what came of it; it raises if
        something is wrong.
    mutate : callable
        Takes a case, the most bytes and a seed, and returns a changed case.
    max_case_bytes : int
        The size of the largest case.
    memory_bytes, growth_bytes : int
        The most that the process may take, and the most by which its peak may grow.
    """

    description: str
    cases: Callable[[], Iterable[bytes]]
    check: Callable[[bytes, Path], str]
    mutate: Callable[[bytes, int, int], bytes]
    max_case_bytes: int
    memory_bytes: int
    growth_bytes: int


def main(target: Target) -> None:
    """Run a fuzzer for some seconds, or replay findings."""
    parser = argparse.ArgumentParser(description=target.description)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--findings", type=Path, default=Path())
    parser.add_argument("--replay", type=Path, nargs="+", default=[])
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (target.memory_bytes, target.memory_bytes))
    before = _peak_bytes()
    memory = Path("/dev/shm")  # noqa: S108 (only where the files are faster)
    work = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))

    def one(case: bytes) -> str:
        folder = work / "case"
        folder.mkdir(exist_ok=True)
        for left in folder.iterdir():
            left.unlink()
        outcome = target.check(case, folder)
        if _peak_bytes() - before > target.growth_bytes:
            raise MemoryError(
                f"a case of {len(case)} bytes took more than {target.growth_bytes} bytes"
            )
        return outcome

    if args.replay:
        for finding in args.replay:
            print(finding, one(finding.read_bytes()))  # noqa: T201
        shutil.rmtree(work)
        return
    corpus = args.corpus or work / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for case in target.cases():
        (corpus / hashlib.sha256(case).hexdigest()).write_bytes(case)
    args.findings.mkdir(parents=True, exist_ok=True)

    def one_input(data: bytes) -> None:
        if data:
            one(data)

    options = [
        f"-max_total_time={args.seconds}",
        f"-max_len={target.max_case_bytes}",
        "-len_control=0",
        f"-timeout={SECONDS_A_CASE}",
        f"-rss_limit_mb={target.memory_bytes >> 20}",
        f"-artifact_prefix={args.findings}/",
        "-print_final_stats=1",
        "-verbosity=1",
        str(corpus),
    ]
    atheris.Setup([sys.argv[0], *options], one_input, custom_mutator=target.mutate)
    # The search ends the process without unwinding it.
    atheris.Fuzz()


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
