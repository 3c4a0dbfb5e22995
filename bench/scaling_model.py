# SPDX-License-Identifier: BSD-3-Clause
"""How a fit scales over the workers of a cluster, from times measured on this machine.

    time = max(rounds * t_chunk, n_chunks * t_client) + t_client

`t_chunk`: the images of one chunk read, inflated and taken up on one thread; no chunk is split, so
that workers go through them in rounds. `t_client`: the state of a chunk unpickled and merged where
the fit was asked for, one after the other. The network is left out: a state a chunk travels.
"""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path

import numpy as np
from bench_scale import fit, listed
from make_maps import FULL, QUICK, default_folder, make_maps
from measure import clock

CHUNK = 64
N_COLUMNS = 3


def one_thread(paths: list[str], mask: str) -> float:
    """Seconds an image on one thread."""
    images = listed(paths, 4 * CHUNK)
    fit(images[:CHUNK], mask, n_jobs=1)
    return min(fit(images, mask, n_jobs=1) for _ in range(3)) / len(images)


def client(n_voxels: int) -> tuple[float, int]:
    """Seconds to take in the state of a chunk, and its bytes."""
    from groupglm import _core

    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(2 * CHUNK), rng.normal(size=(2 * CHUNK, N_COLUMNS - 1))])
    design = _core.Design(X)
    Y = rng.normal(size=(CHUNK, n_voxels)).astype(np.float32)
    total, other = (_core.OlsState(design.n_working, n_voxels) for _ in range(2))
    total.update(design, 0, Y, 2)
    other.update(design, CHUNK, Y, 2)
    sent = pickle.dumps(other.__getstate__())

    def take_in() -> None:
        state = _core.OlsState.__new__(_core.OlsState)
        state.__setstate__(pickle.loads(sent))
        total.merge(state, 2)

    return clock(take_in, repeat=20, warm_up=2).best, len(sent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, default=default_folder(), help="where to keep the maps")
    parser.add_argument("--quick", action="store_true", help="a few small maps")
    options = parser.parse_args()
    size = QUICK if options.quick else FULL
    maps, mask = make_maps(options.dir, size)
    image_bytes = np.mean([path.stat().st_size for path in maps])
    t_image = one_thread([str(path) for path in maps], str(mask))
    t_client, state_bytes = client(size.n_voxels)
    print(f"an image on one thread {1e3 * t_image:.1f} ms; a state {state_bytes / 1e6:.1f} MB, ")
    print(f"taken in within {1e3 * t_client:.1f} ms; chunks of {CHUNK} images\n")
    print("| images | read | states moved | workers | time | of the ideal |")
    print("|---|---|---|---|---|---|")
    for n in (1000, 10_000, 100_000):
        n_chunks = -(-n // CHUNK)
        for workers in (1, 4, 16, 64):
            ideal = n * t_image / workers
            rounds = -(-n_chunks // workers) * CHUNK * t_image  # no chunk is split
            time = max(rounds, n_chunks * t_client) + t_client
            print(
                f"| {n:,} | {n * image_bytes / 1e9:.1f} GB | {n_chunks * state_bytes / 1e9:.1f} GB "
                f"| {workers} | {time:.1f} s | {100 * ideal / time:.0f} % |"
            )


if __name__ == "__main__":
    main()
