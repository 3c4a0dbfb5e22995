# SPDX-License-Identifier: BSD-3-Clause
"""From a BIDS derivative to studies, one for each first-level contrast; no image is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groupglm.cli.options.common import NamedContrast
from groupglm.cli.options.study import RunOptions
from groupglm.cli.options.visits import Visit
from groupglm.cli.results.names import Contrast, Names, check_labels
from groupglm.cli.steps.beside_maps import BesideMaps, match_beside
from groupglm.cli.steps.group_levels import GroupLevel, group_levels
from groupglm.cli.steps.study_contrasts import check_estimable, read_contrasts
from groupglm.cli.steps.study_design import Study, make_study
from groupglm.cli.steps.visit_rows import ENTITIES
from groupglm.runtime.naming import slug
from groupglm.spaces.map_files import MapFiles
from groupglm.spaces.registry import kind_of

if TYPE_CHECKING:
    import pandas as pd

    from groupglm.bids import StatsModel
    from groupglm.bids.entities import NamedFile
    from groupglm.cli.journal import Journal
    from groupglm.cli.steps.visit_tables import VisitTable
    from groupglm.inputs.matching import Matched

__all__ = ["BidsOptions", "bids_studies"]


@dataclass(frozen=True, eq=False)
class BidsOptions(RunOptions):
    """The arguments of "bids".

    Parameters
    ----------
    root : pathlib.Path
        The folder of the derivative to write; `output` may be inside it.
    derivatives : pathlib.Path
        The folder of the maps.
    first_level : tuple of str
        First-level contrasts; empty if there is only one, or if the model names them.
    wanted : dict of str to list of str
        Other entities of the maps, by short name.
    participants : pathlib.Path or None
        The table, if it is not the derivative's.
    sessions : tuple of str
        Tables of sessions, if they are not those beside the participants table.
    second_level : tuple of NamedContrast
        Contrasts over the design, if there is no model.
    model : groupglm.bids.StatsModel or None
        The node of a Stats Model, in place of formula and contrasts.
    model_file : pathlib.Path or None
        The file of the Stats Model.
    formula : str
        The design; of a model, its columns.
    level : GroupLevel or None
        The subjects of one fit, if the model groups them by columns of the participants table.
    """

    root: Path
    derivatives: Path
    first_level: tuple[str, ...]
    wanted: dict[str, list[str]]
    participants: Path | None
    sessions: tuple[str, ...]
    second_level: tuple[NamedContrast, ...]
    model: StatsModel | None
    model_file: Path | None
    formula: str
    level: GroupLevel | None = None

    @property
    def design_facts(self) -> dict[str, Any]:
        """The facts of sidecars on how the design is given."""
        return {"Formula": self.formula}

    @property
    def read(self) -> list[Path]:
        """The files that are read besides the maps."""
        tables = (self._participants, self.model_file)
        return [*super().read, *filter(None, tables), *self._session_files]

    @cached_property
    def _session_files(self) -> list[Path]:
        """The tables of sessions: those given, or if a subject has several maps those of BIDS."""
        from groupglm.cli.options.maps import files_of
        from groupglm.cli.steps.visit_tables import session_files, sessions_below

        if self.sessions:
            return session_files(self.sessions, files_of)
        path = self._participants
        if path is None or not self.group_model.is_repeated:
            return []
        return sessions_below(path.parent)

    def tables(self, used: Sequence[str]) -> list[VisitTable]:
        """Return the tables of participants and of sessions, for maps of several visits.

        BIDS' tables of sessions are read if they are given, or if a column is not elsewhere; their
        column time goes before the number of the session.
        """
        from groupglm.cli.steps.visit_tables import has_time, read_participant_rows, read_sessions

        path, label = self._participants, self.group_model.subject_column
        tables = [] if path is None else [read_participant_rows(path, label)]
        known = {str(name) for table in tables for name in table.frame.columns}
        absent = set(used) - known
        needed = absent - set(ENTITIES) or ("time" in absent and has_time(self._session_files))
        if self._session_files and (self.sessions or needed):
            tables.append(read_sessions(self._session_files))
        return [table.chosen(self._chosen) for table in tables]

    @property
    def _participants(self) -> Path | None:
        from groupglm.bids import find_participants

        return self.participants or find_participants(self.derivatives)

    @property
    def subjects(self) -> set[str] | None:
        """The subjects that the options or the model choose; None for all."""
        return self._chosen.get("subject")

    @property
    def _chosen(self) -> dict[str, set[str]]:
        """The labels that the options or the model choose, of "subject", "session" and "run"."""
        from groupglm.cli.options.visits import plain_run, plain_session
        from groupglm.tabular.labels import plain_label

        parts = {
            "subject": ("sub", plain_label),
            "session": ("ses", plain_session),
            "run": ("run", plain_run),
        }
        found = {}
        for part, (key, plain) in parts.items():
            asked = [self.wanted.get(key), self.model.filters.get(key) if self.model else None]
            sets = [{plain(label) for label in labels} for labels in asked if labels]
            if part == "subject" and self.level is not None:
                sets.append(set(self.level.subjects))
            if sets:
                found[part] = set.intersection(*sets)
        return found

    @property
    def has_no_table(self) -> bool:
        """Whether there is no participants table."""
        return self._participants is None

    @cached_property
    def table(self) -> pd.DataFrame | None:
        """The participants table; None if there is none."""
        from groupglm.inputs.matching import read_participants

        path = self._participants
        return None if path is None else read_participants(path)


def bids_studies(options: BidsOptions, journal: Journal) -> list[Study]:
    """Match the maps, rows and designs of each first-level contrast."""
    from groupglm.bids.collecting import find_effect_maps
    from groupglm.design.formula.building import formula_columns

    if options.model is None:
        formula_columns(options.formula)  # what it refuses is not about the maps
    found = find_effect_maps(options.derivatives)
    if options.has_no_table:
        journal.warn(
            f"no participants.tsv is in '{options.derivatives}', nor in the data set it was made "
            "from; all subjects that have a map are taken"
        )
    studies = []
    for files in _by_contrast(found, options, journal):
        whole = _by_visit(files, options)
        for level in _levels_of_groups(whole, options):
            own = options if level is None else replace(options, level=level)
            chosen = whole if level is None else level.chosen(whole)
            study = _study(chosen, own)
            journal.say(_found(chosen, study))
            study.show(journal, pairs=options.dry_run)
            studies.append(study)
    for prefix in dict.fromkeys(study.names.prefix for study in studies):
        check_labels(
            [c for study in studies if study.names.prefix == prefix for c in study.contrasts],
            "name them apart: --second-level-contrast NAME=EXPRESSION"
            if options.model is None
            else "give them names in the Stats Model that differ in more than case and punctuation",
            prefixes=(prefix,),
        )
    return studies


def _levels_of_groups(
    chosen: Mapping[str, NamedFile], options: BidsOptions
) -> Sequence[GroupLevel | None]:
    """Return the groups that have fits of their own; one None if the model has none."""
    if options.model is None or not options.model.group_by:
        return [None]
    return group_levels(options.model.group_by, chosen, options.table)


def _by_visit(files: Sequence[NamedFile], options: BidsOptions) -> dict[str, NamedFile]:
    """Return the map of each subject, or of each visit if a subject may have several."""
    from groupglm.bids.collecting import maps_of_visits, one_map_a_subject, visit_of

    if not options.group_model.is_repeated:
        return one_map_a_subject(files, allow_partial=options.allow_partial)
    whole = maps_of_visits(files, allow_partial=options.allow_partial)
    visits = {Visit(*visit_of(file)): file for file in whole}
    return {visit.label: visits[visit] for visit in sorted(visits, key=lambda own: own.place)}


def _by_contrast(
    found: Sequence[NamedFile], options: BidsOptions, journal: Journal
) -> list[list[NamedFile]]:
    """Return the maps of each first-level contrast."""
    from groupglm.bids.collecting import select_maps

    if options.model is None:
        kept = select_maps(found, options.wanted)
        if not options.first_level:
            return [kept]
        return [select_maps(kept, {"contrast": [label]}) for label in options.first_level]
    kept = _of_model(found, options.model, journal)
    kept = select_maps(kept, options.wanted)
    if options.first_level:
        kept = select_maps(kept, {"contrast": options.first_level})
    by_label: dict[str, list[NamedFile]] = {}
    for file in kept:
        by_label.setdefault(file.entities.get("contrast", ""), []).append(file)
    if len(by_label) > 1 and not options.model.group_by_contrast:
        raise ValueError(
            f"node {options.model.node!r} pools the contrasts {', '.join(sorted(by_label))}, and "
            'each has a fit of its own: write "GroupBy": ["contrast"], or choose one by '
            "--contrast. To fit them as conditions of one model, list their maps in a table with "
            "the columns subject_label, map_name, effects_map_path and session_id (the contrast), "
            "and give it to groupglm fit with --formula '~ session + (1 | subject)'"
        )
    return [by_label[label] for label in sorted(by_label)]


def _of_model(found: Sequence[NamedFile], model: StatsModel, journal: Journal) -> list[NamedFile]:
    """Return the maps that reach the node, judged by the names of the files."""
    from groupglm.bids.collecting import select_maps

    kept = list(found)
    if model.source is not None and any("node" in file.entities for file in found):
        kept = select_maps(kept, {"node": [model.source]})
    # Input is about the runs at the lowest level: the maps of subjects need not name a run.
    untold = [key for key in model.filters if key not in ("contrast", "sub")]
    for key in untold:
        if not any(key in file.entities for file in kept):
            journal.warn(
                f"the Stats Model asks for {key} {', '.join(model.filters[key])}, but the effect "
                "maps do not have it in their names; all are taken"
            )
    return select_maps(kept, model.filters, untold=untold)


def _study(chosen: Mapping[str, NamedFile], options: BidsOptions) -> Study:
    from groupglm.bids.derivative import common_entities, prefix_of
    from groupglm.inputs.same_file import refuse_shared_maps

    files = list(chosen.values())
    refuse_shared_maps({label: file.files for label, file in chosen.items()}, "the derivative")
    entities = common_entities(files)
    first_level = files[0].entities.get("contrast", "effect")
    beside = _beside(chosen, options)
    maps, left_out = match_beside(
        {label: file.files for label, file in chosen.items()},
        beside,
        allow_partial=options.allow_partial,
    )
    visits = None
    if options.group_model.is_repeated:
        matched, visits = _matched_visits(maps, chosen, options)
    else:
        matched = _matched(maps, options)
    if options.allow_partial:
        matched = matched.with_values(_columns(matched, options))
    design = _design(matched, options)
    entities |= {} if options.level is None else options.level.entities
    prefix = prefix_of(entities) + ("" if options.level is None else options.level.prefix)
    stem = f"{prefix}contrast-{first_level}_"
    ending = kind_of(files[0].path).endings[0]
    return make_study(
        matched,
        design,
        [
            replace(contrast, label=_label(first_level, contrast))
            for contrast in _contrasts(design, options)
        ],
        levels=_levels(matched, options),
        names=Names(
            ending,
            mask=f"{stem}mask{ending}",
            n_observations=f"{stem}stat-nObservations_statmap{ending}",
            n_zeros=f"{stem}stat-nZeros_statmap{ending}",
            df_residual=f"{stem}stat-dof_statmap{ending}",
            prefix=prefix,
            stem=stem,
            design=f"{stem}design.tsv",
            model=f"{stem}model.groupglm",
            report=f"{stem}report.html",
            option="OUT",
        ),
        origin={"FirstLevel": {"contrast": first_level, **entities}},
        group_model=options.group_model,
        beside=beside,
        left_out=left_out,
        visits=visits,
        blocks=options.blocks,
    )


def _matched_visits(
    maps: Mapping[str, MapFiles], chosen: Mapping[str, NamedFile], options: BidsOptions
) -> tuple[Matched, dict[str, Visit]]:
    """Bring maps and rows together by subject, session and run."""
    from groupglm.bids.collecting import visit_of
    from groupglm.cli.steps.visit_rows import match_visits
    from groupglm.design.formula.building import formula_columns

    model = options.model
    used = formula_columns(options.formula)[0] if model is None else model.inputs()
    visits = {label: Visit(*visit_of(chosen[label])) for label in maps}
    columns = [*used, *options.group_model.repeated_columns, *options.blocks.columns]
    found = match_visits(maps, visits, options.tables(columns), allow_partial=options.allow_partial)
    found.check_columns(columns)
    return found.matched, found.visits


def _beside(chosen: Mapping[str, NamedFile], options: BidsOptions) -> BesideMaps:
    """Return the variance maps beside the effect maps, if the model takes them; none is guessed."""
    from groupglm.bids.collecting import absent_variances, variance_of

    if not options.group_model.needs_variances:
        return BesideMaps()
    found = {label: variance_of(file) for label, file in chosen.items()}
    variances = {label: path for label, path in found.items() if path is not None}
    absent = [label for label in chosen if label not in variances]
    if absent and (not variances or not options.allow_partial):
        partial = ", or leave these subjects out by --allow-partial" if variances else ""
        raise ValueError(
            f"{absent_variances(absent, len(chosen))}, and {options.group_model.words()} weights "
            f"each map by its variance; have the first level write it{partial}"
        )
    return BesideMaps(variances)


def _matched(maps: dict[str, MapFiles], options: BidsOptions) -> Matched:
    import pandas as pd

    from groupglm.inputs.matching import match_subjects

    table = options.table
    if table is None:
        table = pd.DataFrame(index=pd.Index(list(maps), name="subject_label"))
    only = options.subjects
    if only is not None:  # the others are left out on purpose
        table = table[[label in only for label in table.index]]
    return match_subjects(maps, table, allow_partial=options.allow_partial)


def _columns(matched: Matched, options: BidsOptions) -> list[str]:
    """Return the columns of the participants table that the design uses."""
    from groupglm.design.formula.building import formula_columns

    groups = [*filter(None, [options.group_model.variance_groups])]
    groups += [*options.group_model.repeated_columns, *options.blocks.columns]
    if options.model is not None:
        known = [str(name) for name in matched.participants.columns]
        return [*options.model.columns_used(known), *groups]
    return [*formula_columns(options.formula)[0], *groups]


def _levels(matched: Matched, options: BidsOptions) -> dict[str, dict[str, int]]:
    """Return the number of subjects at each level of the design's categories."""
    from groupglm.design.formula.used_columns import formula_levels

    if options.model is not None:
        return options.model.levels(matched.participants)
    return formula_levels(options.formula, matched.participants)


def _design(matched: Matched, options: BidsOptions) -> pd.DataFrame:
    from groupglm.design.formula.building import fixed_design

    try:
        if options.model is not None:
            return options.model.design_matrix(matched.participants)
        return fixed_design(options.formula, matched.participants)
    except ValueError as error:
        if options.has_no_table:
            raise ValueError(
                f"no participants.tsv is in '{options.derivatives}', nor in the data set it was "
                f"made from, and the design needs one ({options.formula}); give --participants"
            ) from error
        raise


def _contrasts(design: pd.DataFrame, options: BidsOptions) -> list[Contrast]:
    if options.model is None:
        return read_contrasts(options.second_level, design, option="--second-level-contrast")
    columns = [str(name) for name in design.columns]
    contrasts = []
    for given in options.model.contrasts_of(columns):
        weights = given.over(columns)
        said = "; ".join(_expression(row, given.conditions) for row in given.weights)
        for row in weights if given.test == "F" else [weights]:
            check_estimable(given.name, row, design)
        contrasts.append(Contrast(given.name, said, weights, columns, slug(given.name)))
    return contrasts


def _expression(weights: Sequence[float], names: Sequence[str]) -> str:
    """Return a row of weights as a person would write it: ``patient - 0.5*control``."""
    text = ""
    for weight, name in zip(weights, names, strict=True):
        if weight:
            sign = " - " if weight < 0 else " + "
            text += sign + ("" if abs(weight) == 1 else f"{abs(weight):g}*") + name
    return text.removeprefix(" + ").lstrip()


def _label(first_level: str, contrast: Contrast) -> str:
    """Return a contrast's label in FitLins' way: the mean of a contrast has the contrast's name."""
    if contrast.label.lower() in ("", "intercept"):
        return first_level
    return first_level + contrast.label[:1].upper() + contrast.label[1:]


def _found(chosen: Mapping[str, NamedFile], study: Study) -> str:
    from groupglm.bids.collecting import variance_of

    said = ", ".join(f"{key} {value}" for key, value in study.origin["FirstLevel"].items())
    n_variances = sum(variance_of(file) is not None for file in chosen.values())
    have = ""
    if study.beside.variances:
        have = f"; {n_variances} have a variance map"
    elif n_variances:
        model = study.group_model.words() or "ordinary least squares"
        have = f"; {n_variances} have a variance map, which {model} does not use"
    several = "" if study.visits is None else f"{len(chosen)} visits of "
    n = len({file.entities["sub"] for file in chosen.values()})
    return f"Effect maps of {several}{n} subjects ({said}){have}."
