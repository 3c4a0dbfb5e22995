# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm demo``: a simulated group study, its fit, and the truth beside the results."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groupglm.cli.journal import Journal
from groupglm.cli.options.common import as_json
from groupglm.cli.options.paths import TO_PLACE
from groupglm.cli.results.claims import claimed
from groupglm.cli.results.locks import LOCK_PREFIX
from groupglm.cli.results.records import Member, check_ours, publish
from groupglm.cli.results.sameness import made_by
from groupglm.runtime.regular_files import why_no_folder
from groupglm.runtime.rounding import place, statistic
from groupglm.runtime.sidecars import content_facts, has_content, read_json
from groupglm.runtime.writing import draft_folder
from groupglm.spaces.map_files import files_of_map, possible_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from groupglm.cli.steps.demo_studies import DemoStudy
    from groupglm.estimator.group_model import GroupModel
    from groupglm.spaces.images import Image

__all__ = ["demo"]

_RECORD = "demo.json"
_MAPS = {"effect": "effect_size", "t": "stat", "z": "z_score", "p": "p_value"}


@click.command()
@click.option(
    "--output",
    type=TO_PLACE,
    default=Path("groupglm-demo"),
    show_default=True,
    help="Directory to write to.",
)
@click.option(
    "--n-subjects", type=click.IntRange(min=4), default=24, show_default=True, help="Subjects."
)
@click.option("--surface", is_flag=True, help="Maps of the cortical surface in place of volumes.")
@click.option(
    "--voxel-size",
    type=click.FloatRange(min=1.0, max=12.0),
    help="Edge of the voxels, in mm; by default 3.",
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
@as_json
@click.option("--overwrite", is_flag=True, help="Write into a directory that is not empty.")
def demo(
    *,
    output: Path,
    n_subjects: int,
    surface: bool,
    voxel_size: float | None,
    seed: int,
    n_jobs: int,
    as_json: bool,
    overwrite: bool,
) -> None:
    """Simulate a group study, fit it, and compare with the truth.

    Writes the images of the subjects, the mask, the design, the maps
    maps/CONTRAST_{effect,t,z,p}.nii.gz of each contrast (group, age, intercept), the page
    report.html, and demo.json with the simulated truth and the results. With --surface the images
    are maps of both hemispheres, images/sub-01_hemi-{L,R}_effect.func.gii and so on, beside their
    meshes, and again as CIFTI, images/sub-01_effect.dscalar.nii and so on; results are
    maps/hemi-{L,R}_CONTRAST_z.func.gii and so on. If you run it again with the same options, it
    skips.

    \b
    Examples
      groupglm demo
      groupglm demo --surface --output demo-surface
      groupglm demo --n-subjects 40 --voxel-size 4 --seed 1 --output demo40

    \b
    Exit codes: 0 done, 1 input or data cannot be used, 2 wrong options, 130 interrupted, 143
    terminated.
    """  # noqa: D301  (\b is click's mark of lines to be left as they are)
    if n_jobs == 0:
        raise ValueError("--n-jobs is 0; give the number of threads, or -1 for all of them.")
    journal = Journal(as_json=as_json)
    if surface and voxel_size is not None:
        raise click.UsageError("--voxel-size has no effect with --surface, which has no voxels.")
    options: dict[str, Any] = {"NumberOfSubjects": n_subjects, "Seed": seed}
    options |= {"Surface": True} if surface else {"VoxelSize": voxel_size or 3.0}
    _make_output(output)
    with claimed(output, [], [], lock=_RECORD, option="--output"):
        found = None if overwrite else _found(output, options)
        if found is not None:
            journal.say(f"{output}: skipped, this study is there already (--overwrite redoes it)")
            journal.summary({"output": str(output), "status": "skipped", **found})
            return
        if not overwrite:
            _refuse_occupied(output)
        results, seconds = _simulate(output, options, n_jobs, journal)
        summary = {"output": str(output), "status": "written", **results, "seconds": seconds}
        journal.summary(summary)


def _found(output: Path, options: dict[str, Any]) -> dict[str, Any] | None:
    """Return the results of the same study, if they exist, are whole and of this version."""
    from groupglm.cli.results.provenance import software_versions

    facts = read_json(output / _RECORD) or {}
    files, results = facts.get("Files"), facts.get("Results")
    same = facts.get("Options") == options and made_by(facts) == made_by(
        {"SoftwareVersions": software_versions()}
    )
    if not (same and isinstance(files, dict) and isinstance(results, dict)):
        return None
    whole = all(has_content(output / name, content) for name, content in files.items())
    return results if whole else None


def _simulate(
    output: Path, options: dict[str, Any], n_jobs: int, journal: Journal
) -> tuple[dict[str, Any], dict[str, float]]:
    """Simulate and fit the study, write all files; return the results and each step's seconds."""
    seconds: dict[str, float] = {}
    with _timed(seconds, "import"):  # libraries load once; the study's time is without
        import groupglm.datasets  # noqa: F401 (loaded here, to be timed)
        from groupglm.estimator.group_model import fit_images
    with draft_folder(output) as drafts:
        with _timed(seconds, "simulate"):
            study = _study(drafts, options)
            _write_tables(drafts, study)
        _check_places(output, drafts, study)
        facts = _facts(options, study)
        contents = _publish(output, drafts, facts, {})
        study = study.moved(output)
        model = study.model(n_jobs)
        with _timed(seconds, "fit"):
            # The page needs the images' values too.
            fit_images(model, study.maps, study.study.design_matrix, keep_rows=True)
        with _timed(seconds, "contrasts"):
            maps = {name: model.compute_contrast(name, output_type="all") for name in study.effects}
        results = _results(study, maps, model)
        with _timed(seconds, "write"):
            _write_maps(drafts, study, maps)
        with _timed(seconds, "report"):
            report = model.generate_report(list(study.effects), title=study.title, two_sided=True)
            report.save_as_html(drafts / "report.html")
        _publish(output, drafts, {**facts, "Results": results}, contents)
    _say_results(model, results, journal)
    _say_times(seconds, journal)
    _say_next_steps(output, study, journal)
    return results, seconds


def _study(folder: Path, options: Mapping[str, Any]) -> DemoStudy:
    from groupglm.cli.steps.demo_studies import SurfaceDemo, VolumeDemo

    n_subjects, seed = options["NumberOfSubjects"], options["Seed"]
    if "Surface" in options:
        return SurfaceDemo.simulate(folder, n_subjects=n_subjects, seed=seed)
    voxel_size = options["VoxelSize"]
    return VolumeDemo.simulate(folder, n_subjects=n_subjects, voxel_size=voxel_size, seed=seed)


def _make_output(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise ValueError(f"--output is '{output}', which is a file; give a directory.")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"--output '{output}' cannot be used as a directory "
            f"({why_no_folder(output) or error.strerror}); give one that can be made and written "
            "to."
        ) from error
    if not os.access(output, os.W_OK | os.X_OK):
        raise OSError(f"--output '{output}' is not writable; give a directory that is.")


def _refuse_occupied(output: Path) -> None:
    if any(not path.name.startswith(LOCK_PREFIX) for path in output.iterdir()):
        raise ValueError(
            f"--output '{output}' is not empty; add --overwrite to write into it, or give another "
            "directory."
        )


def _check_places(output: Path, drafts: Path, study: DemoStudy) -> None:
    """Refuse to replace other programs' files; remove those of an earlier demo only."""
    names = [path.relative_to(drafts).as_posix() for path in _files(drafts)]
    maps = [_map_name(study, name, suffix) for name in study.effects for suffix in _MAPS]
    names += [path.as_posix() for name in maps for path in possible_files(Path(name))]
    record = output / _RECORD
    names.append("report.html")
    check_ours([Member(output / name, record) for name in names], f"--output '{output}'")
    files = (read_json(record) or {}).get("Files")
    for name, content in files.items() if isinstance(files, dict) else ():
        path = output / name  # an earlier demo may have had more subjects
        inside = Path(os.path.realpath(path)).is_relative_to(os.path.realpath(output))
        if name not in names and inside and has_content(path, content):
            path.unlink()


def _publish(
    output: Path, drafts: Path, facts: Mapping[str, Any], contents: Mapping[str, Any]
) -> dict[str, Any]:
    """Give all drafts their names; return their contents, with those of earlier files."""
    moved = {output / path.relative_to(drafts): path for path in _files(drafts)}
    found = {
        path.relative_to(output).as_posix(): content_facts(draft) for path, draft in moved.items()
    }
    contents = {**contents, **found}
    for path in moved:
        path.parent.mkdir(exist_ok=True)
    publish(moved, output / _RECORD, {**facts, "Files": contents}, drafts)
    return contents


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[step] = time.perf_counter() - start


def _map_name(study: DemoStudy, contrast: str, suffix: str) -> str:
    return f"maps/{contrast}_{suffix}{study.ending}"


def _write_tables(folder: Path, study: DemoStudy) -> None:
    own = study.study
    own.design_matrix.to_csv(folder / "design_matrix.tsv", sep="\t", index=False)
    own.participants.to_csv(folder / "participants.tsv", sep="\t", index=False)


def _write_maps(folder: Path, study: DemoStudy, maps: Mapping[str, Mapping[str, Image]]) -> None:
    from groupglm.spaces.registry import kind_of

    for name, results in maps.items():
        for suffix, output_type in _MAPS.items():
            image = results[output_type]
            kind_of(image).save(image, folder / _map_name(study, name, suffix))


def _facts(options: dict[str, Any], study: DemoStudy) -> dict[str, Any]:
    """Return the facts of the study's record; the results in it say that it is complete."""
    from groupglm.cli.results.provenance import design_hash, software_versions

    return {
        "Description": "A simulated group study, and what a fit finds in it",
        "Options": options,
        "DesignHash": design_hash(study.study.design_matrix),
        "SoftwareVersions": software_versions(),
    }


def _results(
    study: DemoStudy, maps: Mapping[str, Mapping[str, Image]], model: GroupModel
) -> dict[str, Any]:
    """Return the results, for a program and for the sidecar."""
    import numpy as np

    from groupglm.inference.peaks import extremes
    from groupglm.spaces.registry import kind_of

    contrasts = []
    for name, results in maps.items():
        z_map = results["z_score"]
        source, space = kind_of(z_map).open_map(z_map, name)
        z = np.empty(space.n_values)
        space.read_stored(source, z)
        found, _ = extremes(space, z)
        if found is None:  # the simulated effects are positive
            raise AssertionError
        truth = study.effects[name].peak
        contrasts.append(
            {
                "name": name,
                "strongest_positive": {"z": found.value, "mm": list(found.position)},
                "truth_mm": [float(mm) for mm in truth],
                "apart_mm": float(np.linalg.norm(np.subtract(found.position, truth))),
            }
        )
    return {
        "n_subjects": len(study.maps),
        "columns": [str(name) for name in study.study.design_matrix],
        "n_voxels": model.n_elements_,
        "df_residual": int(model.results_.df_residual),
        "contrasts": contrasts,
    }


def _say_results(model: GroupModel, results: dict[str, Any], journal: Journal) -> None:
    space = model.masker_.space
    journal.say(
        f"{space.placement_word:<20}{space.describe_placement()}, {results['n_voxels']} in the mask"
    )
    journal.say(f"subjects            {results['n_subjects']}")
    journal.say(f"design columns      {', '.join(results['columns'])}")
    journal.say(f"degrees of freedom  {results['df_residual']} residual")
    journal.say()
    journal.say("          strongest positive z")
    journal.say("contrast        z  at (mm)               truth at (mm)         apart (mm)")
    for contrast in results["contrasts"]:
        found = contrast["strongest_positive"]
        journal.say(
            f"{contrast['name']:<10} {statistic(found['z']):>6}  {_millimetres(found['mm']):<20}  "
            f"{_millimetres(contrast['truth_mm']):<20}  {contrast['apart_mm']:10.1f}"
        )


def _millimetres(position: Sequence[float]) -> str:
    return place(round(mm, 1) for mm in position).removesuffix(" mm")


def _say_times(seconds: Mapping[str, float], journal: Journal) -> None:
    journal.say()
    parts = [f"{step} {value:.2f}" for step, value in seconds.items()]
    journal.say(f"seconds             {', '.join(parts)}")


def _say_next_steps(output: Path, study: DemoStudy, journal: Journal) -> None:
    width = max(2, len(str(len(study.maps))))
    journal.say(f"written to          {output}")
    journal.say()
    journal.say("Next: open the report in a browser")
    journal.say(f"    {output / 'report.html'}")
    journal.say(f"or a map in a viewer such as {study.viewers}, for instance")
    for path in files_of_map(output / _map_name(study, "group", "z")):
        journal.say(f"    {path}")
    journal.say("or go on in Python:")
    journal.say(study.example(output, f"sub-{{i:0{width}d}}"))
