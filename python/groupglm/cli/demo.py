# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm demo``: a simulated group study, fitted, beside the truth it was made from."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nibabel.nifti1 import Nifti1Image

    from groupglm.datasets import GroupStudy

__all__ = ["demo"]

_MAPS = {"effect": "effect_size", "t": "stat", "z": "z_score", "p": "p_value"}


class _Peak(NamedTuple):
    z: float
    position: tuple[float, float, float]  # mm


@click.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("groupglm-demo"),
    show_default=True,
    help="Directory to write to.",
)
@click.option(
    "--n-subjects", type=click.IntRange(min=4), default=24, show_default=True, help="Subjects."
)
@click.option(
    "--voxel-size",
    type=click.FloatRange(min=1.0, max=12.0),
    default=3.0,
    show_default=True,
    help="Edge of the voxels, in mm.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="The same seed gives the same study.",
)
@click.option(
    "--n-jobs",
    type=int,
    default=1,
    show_default=True,
    help="Number of threads; -1 for all.",
)
@click.option("--overwrite", is_flag=True, help="Write into a directory that is not empty.")
def demo(
    *, output: Path, n_subjects: int, voxel_size: float, seed: int, n_jobs: int, overwrite: bool
) -> None:
    """Simulate a group study, fit it, and compare with the truth.

    Writes the subjects' images, the mask, the design, for each contrast (group, age,
    intercept) the maps maps/CONTRAST_{effect,t,z,p}.nii.gz, and the page report.html.
    """
    if n_jobs == 0:
        raise ValueError("--n-jobs is 0; give the number of threads, or -1 for all of them.")
    output = output.expanduser()
    _prepare_output(output, overwrite=overwrite)
    seconds: dict[str, float] = {}
    with _timed(seconds, "import"):  # the libraries load once, and not on the study's account
        from groupglm import SecondLevelModel
        from groupglm.datasets import simulate_group_study

    with _timed(seconds, "simulate"):
        study = simulate_group_study(
            output / "images", n_subjects=n_subjects, voxel_size=voxel_size, seed=seed
        )
    model = SecondLevelModel(mask_img=study.mask_img, n_jobs=n_jobs)
    with _timed(seconds, "fit"):
        model.fit([str(path) for path in study.paths], design_matrix=study.design_matrix)
    with _timed(seconds, "contrasts"):
        maps = {name: model.compute_contrast(name, output_type="all") for name in study.effects}
    with _timed(seconds, "write"):
        _write(output, study, maps)
    with _timed(seconds, "report"):
        report = model.generate_report(list(study.effects), title="A simulated group study")
        report.save_as_html(output / "report.html")
    _echo_summary(study, maps, int(model.results_.df_residual))
    _echo_times(seconds)
    _echo_next_steps(output, study)


def _prepare_output(output: Path, *, overwrite: bool) -> None:
    if output.exists() and not output.is_dir():
        raise ValueError(f"--output is '{output}', which is a file; give a directory.")
    try:
        output.mkdir(parents=True, exist_ok=True)
        occupied = any(output.iterdir())
    except OSError as error:
        raise OSError(
            f"--output '{output}' cannot be used as a directory ({error.strerror}); "
            "give one that can be made and written to."
        ) from error
    if occupied and not overwrite:
        raise ValueError(
            f"--output '{output}' is not empty; add --overwrite to write into it, or give another "
            "directory."
        )
    if not os.access(output, os.W_OK | os.X_OK):
        raise OSError(f"--output '{output}' is not writable; give a directory that is.")


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[step] = time.perf_counter() - start


def _write(output: Path, study: GroupStudy, maps: Mapping[str, Mapping[str, Nifti1Image]]) -> None:
    from groupglm.images.save import save_image

    (output / "maps").mkdir(exist_ok=True)
    for name, results in maps.items():
        for suffix, output_type in _MAPS.items():
            save_image(results[output_type], output / "maps" / f"{name}_{suffix}.nii.gz")
    save_image(study.mask_img, output / "mask.nii.gz")
    study.design_matrix.to_csv(output / "design_matrix.tsv", sep="\t", index=False)
    study.participants.to_csv(output / "participants.tsv", sep="\t", index=False)


def _echo_summary(
    study: GroupStudy, maps: Mapping[str, Mapping[str, Nifti1Image]], df_residual: int
) -> None:
    import numpy as np

    shape = " x ".join(str(n) for n in study.mask_img.shape)
    header: Any = study.mask_img.header
    zooms = " x ".join(f"{size:g}" for size in header.get_zooms())
    n_voxels = int(np.count_nonzero(np.asanyarray(study.mask_img.dataobj)))
    design = study.design_matrix
    click.echo(f"grid                {shape} voxels of {zooms} mm, {n_voxels} in the mask")
    click.echo(f"subjects            {len(design)}")
    click.echo(f"design columns      {', '.join(map(str, design))}")
    click.echo(f"degrees of freedom  {df_residual} residual")
    click.echo("")
    click.echo("contrast   peak z  at (mm)              truth at (mm)        apart (mm)")
    for name, results in maps.items():
        peak = _peak(results["z_score"])
        truth = study.effects[name].peak
        apart = float(np.linalg.norm(np.subtract(peak.position, truth)))
        click.echo(
            f"{name:<10} {peak.z:6.2f}  {_millimetres(peak.position):<19}  "
            f"{_millimetres(truth):<19}  {apart:10.1f}"
        )


def _peak(z_map: Nifti1Image) -> _Peak:
    """Return the highest z score of a map and where it is."""
    import numpy as np

    values: Any = np.asanyarray(z_map.dataobj)
    voxel = np.unravel_index(np.nanargmax(values), values.shape)
    x, y, z = (float(value) for value in (z_map.affine @ [*voxel, 1])[:3])
    return _Peak(float(values[voxel]), (x, y, z))


def _millimetres(position: tuple[float, float, float]) -> str:
    return "(" + ", ".join(f"{value:.0f}" for value in position) + ")"


def _echo_times(seconds: Mapping[str, float]) -> None:
    click.echo("")
    parts = [f"{step} {value:.2f}" for step, value in seconds.items()]
    click.echo(f"seconds             {', '.join(parts)}")


def _echo_next_steps(output: Path, study: GroupStudy) -> None:
    n = len(study.paths)
    width = max(2, len(str(n)))
    click.echo(f"written to          {output}")
    click.echo("")
    click.echo("Next: open the report in a browser")
    click.echo(f"    {output / 'report.html'}")
    click.echo("or a map in a viewer such as FSLeyes or MRIcroGL, for instance")
    click.echo(f"    {output / 'maps' / 'group_z.nii.gz'}")
    click.echo("or go on in Python:")
    click.echo(f"""
    from pathlib import Path
    from groupglm import SecondLevelModel
    demo = Path({str(output)!r})
    images = [demo / f"images/sub-{{i:0{width}d}}_effect.nii.gz" for i in range(1, {n + 1})]
    model = SecondLevelModel(mask_img=demo / "mask.nii.gz")
    model.fit(images, design_matrix=demo / "design_matrix.tsv")
    model.compute_contrast("intercept + group").to_filename(demo / "patients_z.nii.gz")""")
