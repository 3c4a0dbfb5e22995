# SPDX-License-Identifier: BSD-3-Clause
"""The options of the commands that fit a study, or test one by permutation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groupglm.cli.options.atlases import AtlasChoice, of_atlas, small_volume_option
from groupglm.cli.options.blocks import BlockOptions, block_options
from groupglm.cli.options.common import (
    AFFINE,
    CONTRAST,
    FWHM,
    NamedContrast,
    as_json,
    background,
    cluster_p,
    cluster_threshold,
    n_jobs,
    overwrite,
    seed,
    tails,
    tfce,
)
from groupglm.cli.options.corrections import Correction, correct
from groupglm.cli.options.effect_sizes import EFFECT_OPTIONS, EffectOptions
from groupglm.cli.options.geometry import MASK, SidePair, mesh_files, of_geometry
from groupglm.cli.options.giving import Command, giving
from groupglm.cli.options.group_model import GroupModelOptions, model_options
from groupglm.cli.options.paths import FILE, TO_FOLDER

if TYPE_CHECKING:
    from groupglm.cli.journal import Journal
    from groupglm.cli.options.visits import VisitMaps
    from groupglm.cli.steps.beside_maps import BesideMaps
    from groupglm.cli.steps.study_design import Study
    from groupglm.spaces.map_files import MapFiles

__all__ = [
    "FitOptions",
    "RunOptions",
    "StudyOptions",
    "check_zero_option",
    "fit_options",
    "missing_option",
    "run_options",
    "study_options",
    "target_affine_option",
    "zero_is_missing_option",
]


_NO_DESIGN = (
    "It is the design, over the columns of the table of participants, such as '~ age + group'; for "
    "the mean of all subjects it is '~ 1'. A design of your own is --design-matrix."
)


_RUN = (
    click.option(
        "--mask",
        type=MASK,
        help="Mask image, or a glob of its files; found from the maps by default.",
    ),
    *of_geometry,
    click.option("--fwhm", type=FWHM, help="Smoothing, full width at half maximum in mm."),
    click.option(
        "--allow-partial",
        is_flag=True,
        help="Leave out subjects without a map, a row, or a value that the design uses.",
    ),
    click.option("--dry-run", is_flag=True, help="Show the design and stop; no image is read."),
    n_jobs,
    as_json,
    overwrite,
)
_STUDY = (
    click.argument("maps", nargs=-1, metavar="MAPS..."),
    click.option(
        "--table",
        type=FILE,
        help="In the place of MAPS: a table (.tsv, .csv) of regions with participant_id, a row a "
        "subject (or a visit, with session_id), and a column of numbers for each region.",
    ),
    click.option(
        "--participants",
        type=FILE,
        help="Table (.tsv, .csv) with participant_id (or the column of (1 | COLUMN)), a row a "
        "subject (or a row a visit, with session_id). Not needed for '~ 1'.",
    ),
    click.option(
        "--sessions",
        multiple=True,
        metavar="PATH",
        help="Tables with a row a session: one with participant_id and session_id, or BIDS' "
        "sub-*_sessions.tsv, or the folder that holds these. Repeatable.",
    ),
    click.option(
        "--formula",
        help="Design, over the tables' columns: '~ age + group'; with several maps a subject "
        "'~ group * time + (1 | subject)'.",
    ),
    click.option(
        "--design-matrix",
        type=FILE,
        help="In the place of --formula: the columns of the design, in a table (.tsv, .csv), "
        "whose rows are found by participant_id, or in FSL's design.mat, with a row a map in the "
        "order of MAPS.",
    ),
    click.option(
        "--contrast",
        "contrasts",
        type=CONTRAST,
        multiple=True,
        help="A column or expression, NAME=EXPR to name it, 'NAME=EXPR; EXPR' for F. Repeatable.",
    ),
    click.option(
        "--contrasts",
        "contrast_files",
        type=FILE,
        multiple=True,
        help="List of contrasts: FSL's .con (and its .fts after it), vectors as SPM's in a .txt, "
        "or a .tsv or .csv with a column for each of the design. Repeatable.",
    ),
    click.option("--output", type=TO_FOLDER, required=True, help="Folder."),
    click.option(
        "--subject-pattern",
        help="Regular expression of the label in a file's or folder's name; with a /, in the path.",
    ),
    click.option("--map-name", help="Which maps of a table that has several kinds."),
)
target_affine_option = click.option(
    "--target-affine", type=AFFINE, help="Grid to resample to: voxel size, or an image that has it."
)
missing_option = click.option(
    "--missing",
    type=click.Choice(["omit", "zero", "raise", "intersect"]),
    default="omit",
    show_default=True,
    help="What NaN means: leave out by voxel (place), zero, refuse, or leave out the voxel.",
)
zero_is_missing_option = click.option(
    "--zero-is-missing",
    is_flag=True,
    help="Exact zeros are missing values, as outside a subject's brain.",
)
_FIT = (
    target_affine_option,
    missing_option,
    zero_is_missing_option,
    *EFFECT_OPTIONS,
    correct,
    cluster_threshold,
    tails,
    small_volume_option,
    *of_atlas,
    click.option(
        "--permute",
        "--n-perm",
        "permute",
        type=click.IntRange(min=1),
        help="Test by this many permutations too.",
    ),
    tfce,
    cluster_p,
    seed,
    block_options,
    click.option("--save-model", is_flag=True, help="Keep the fitted model too."),
    click.option("--report", is_flag=True, help="Write a page with all of it too."),
    background,
)


run_options = giving(_RUN)
_of_study = giving((*_STUDY, *_RUN))
fit_options = giving(_FIT)


def study_options(command: Command) -> Command:
    """Add the options of a study, and of its model, to a command."""
    return _of_study(model_options(command))


def check_zero_option(zero_is_missing: bool, missing: str) -> None:
    """Refuse, before the long work, zeros that are missing and missing values that are zero."""
    if zero_is_missing and missing == "zero":
        raise click.UsageError(
            "--zero-is-missing takes zeros for missing values, and --missing zero takes missing "
            "values for zeros; give one of the two."
        )


@dataclass(frozen=True, eq=False)
class RunOptions:
    """Options for how and where to run, of every command that reads the maps of subjects."""

    output: Path
    mask: MapFiles | None
    surfaces: SidePair | None
    areas: SidePair | None
    fwhm: float | tuple[float, ...] | None
    allow_partial: bool
    dry_run: bool
    n_jobs: int
    as_json: bool
    overwrite: bool
    group_model: GroupModelOptions
    blocks: BlockOptions

    @property
    def read(self) -> list[Path]:
        """The files that are read besides the maps."""
        masks = () if self.mask is None else self.mask.paths
        blocks = () if self.blocks.file is None else (self.blocks.file,)
        return [*masks, *mesh_files(self.surfaces, self.areas), *blocks]

    @property
    def design_facts(self) -> dict[str, Any]:
        """The facts of sidecars on how the design is given."""
        raise NotImplementedError

    @property
    def log(self) -> Path | None:
        """The file of the log; None in a dry run."""
        return None if self.dry_run else self.output / "log.txt"


@dataclass(frozen=True, eq=False)
class StudyOptions(RunOptions):
    """The parts of a study, as given by the arguments of "fit" and "permute"."""

    maps: tuple[str, ...]
    table: Path | None
    participants: Path | None
    sessions: tuple[str, ...]
    formula: str | None
    design_matrix: Path | None
    contrasts: tuple[NamedContrast, ...]
    contrast_files: tuple[Path, ...]
    subject_pattern: str | None
    map_name: str | None

    def __post_init__(self) -> None:
        """Refuse a study without a design or contrasts, and options that exclude each other."""
        self._check_design()
        if not (self.contrasts or self.contrast_files):
            raise click.MissingParameter(
                "It says what is tested, such as a column of the design; --contrasts reads a list.",
                ctx=click.get_current_context(silent=True),
                param_hint="'--contrast'",
                param_type="option",
            )
        if self.table is None and not self.maps:
            raise click.MissingParameter(
                ctx=click.get_current_context(silent=True),
                param_hint="'MAPS...'",
                param_type="argument",
            )
        if self.table is None:
            return
        for option, given in (
            ("MAPS", self.maps),
            ("--subject-pattern", self.subject_pattern),
            ("--map-name", self.map_name),
        ):
            if given:
                raise click.UsageError(f"{option} has no effect with --table; give one of the two.")

    def _check_design(self) -> None:
        """Refuse a study without a design, and what has no effect beside a design matrix."""
        if self.formula is None and self.design_matrix is None:
            raise click.MissingParameter(
                _NO_DESIGN,
                ctx=click.get_current_context(silent=True),
                param_hint="'--formula'",
                param_type="option",
            )
        if self.design_matrix is None:
            return
        for option, given in (
            ("--formula", self.formula),
            ("--participants", self.participants),
            ("--sessions", self.sessions),
        ):
            if given:
                raise click.UsageError(
                    f"{option} has no effect with --design-matrix, which has the columns of the "
                    "design; give one of the two."
                )

    @property
    def design_facts(self) -> dict[str, Any]:
        """The facts of sidecars on how the design is given."""
        if self.design_matrix is None:
            return {"Formula": self.formula}
        return {"DesignMatrix": self.design_matrix.name}

    @property
    def read(self) -> list[Path]:
        """The files that are read besides the maps."""
        tables = [*filter(None, [self.participants, self.design_matrix]), *self.contrast_files]
        return [*super().read, *tables, *self._session_files]

    @cached_property
    def _session_files(self) -> list[Path]:
        from groupglm.cli.options.maps import files_of
        from groupglm.cli.steps.visit_tables import session_files

        return session_files(self.sessions, files_of)

    def study(self, journal: Journal, *, estimates: bool = True) -> Study:
        """Make the study, and show its design before any image is read.

        `estimates` says whether p of the model itself are wanted, rather than of permutations
        alone.
        """
        from groupglm.cli.steps.study_design import prepare_study
        from groupglm.cli.steps.study_rows import DesignSource

        maps, beside = self._inputs(journal)
        study = prepare_study(
            maps,
            DesignSource(self.formula, self.participants, self._session_files, self.design_matrix),
            self.contrasts,
            self.contrast_files,
            allow_partial=self.allow_partial,
            group_model=self.group_model,
            beside=beside,
            blocks=self.blocks,
            estimates=estimates,
        )
        study.show(journal, pairs=self.dry_run)
        if self.dry_run:
            journal.say("Dry run: no image was read.")
        return study

    def _inputs(self, journal: Journal) -> tuple[VisitMaps, BesideMaps]:
        """Find the maps, or the rows of the table, and what the model takes beside them."""
        if self.table is not None:
            from groupglm.cli.options.region_rows import collect_beside_rows, collect_rows

            rows = collect_rows(self.table, "--table")
            return rows, collect_beside_rows(self.group_model, by_visit=rows.several)
        from groupglm.cli.options.maps import collect_maps
        from groupglm.cli.steps.beside_maps import collect_beside_maps

        maps = collect_maps(
            self.maps, self.subject_pattern, self.map_name, output=self.output, warn=journal.warn
        )
        beside = collect_beside_maps(
            self.group_model,
            self.maps,
            self.subject_pattern,
            self.map_name,
            output=self.output,
            by_visit=maps.several,
            warn=journal.warn,
        )
        return maps, beside


@dataclass(frozen=True, eq=False)
class FitOptions:
    """Options for the fit of a study, and for the files besides its contrasts' maps."""

    target_affine: Any
    missing: Any
    zero_is_missing: bool
    corrections: tuple[Correction, ...]
    cluster_threshold: int
    two_sided: bool
    small_volume: Any
    atlas: AtlasChoice | None
    permute: int | None
    tfce: bool
    cluster_p: float | None
    seed: int
    save_model: bool
    report: bool
    background: Path | None
    effects: EffectOptions

    @classmethod
    def taken_from(cls, given: dict[str, Any]) -> FitOptions:
        """Take these options out of a command's arguments; refuse those that conflict."""
        own: dict[str, Any] = {
            "atlas": AtlasChoice.taken_from(given),
            "effects": EffectOptions.taken_from(given),
        }
        own |= {name: given.pop(name) for name in cls.__dataclass_fields__ if name not in own}
        thresholds = bool(own["corrections"]) or own["report"]
        permutes = own["permute"] is not None
        needs = (
            ("--tfce", own["tfce"], permutes, "--permute N"),
            ("--cluster-p", own["cluster_p"], permutes, "--permute N"),
            ("--seed", own["seed"] is not None, permutes, "--permute N"),
            ("--background", own["background"], own["report"], "--report"),
            ("--small-volume", own["small_volume"], own["corrections"], "--correct"),
            (
                "--atlas",
                own["atlas"],
                thresholds or permutes,
                "--correct, --permute or --report",
            ),
            ("--cluster-threshold", own["cluster_threshold"], thresholds, "--correct or --report"),
            (
                "--two-sided" if own["two_sided"] else "--one-sided",
                own["two_sided"] is not None,
                thresholds or permutes,
                "--correct, --permute or --report",
            ),
        )
        for option, is_given, has_effect, need in needs:
            if is_given and not has_effect:
                raise click.UsageError(f"{option} has no effect without {need}.")
        own["corrections"] = tuple(dict.fromkeys(own["corrections"]))
        own["two_sided"] = own["two_sided"] is not False
        own["seed"] = own["seed"] or 0
        check_zero_option(own["zero_is_missing"], own["missing"])
        return cls(**own)
