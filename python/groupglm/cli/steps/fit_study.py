# SPDX-License-Identifier: BSD-3-Clause
"""Fit a prepared study and write its maps; results that exist already are skipped."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.cli.commands.report import write_report
from groupglm.cli.options.corrections import BY_FIELDS, Correction
from groupglm.cli.options.effect_sizes import EffectOptions
from groupglm.cli.results.claims import claimed_study
from groupglm.cli.results.maps_read_back import values_of
from groupglm.cli.results.names import Contrast
from groupglm.cli.results.provenance import file_facts
from groupglm.cli.results.records import Target
from groupglm.cli.results.removal import contradicting, remove
from groupglm.cli.results.study_results import Outputs
from groupglm.cli.steps.corrections import Rule, correct_contrast
from groupglm.cli.steps.effect_maps import check_effects, effect_paths, write_effects
from groupglm.cli.steps.estimation import Estimate, Reading, write_common
from groupglm.cli.steps.further_results import facts_of_further, further_of_fit
from groupglm.cli.steps.permutation_tests import (
    Permutations,
    check_permutable,
    permutation_targets,
    permute_contrast,
    test_on_page,
)
from groupglm.runtime.rounding import place, statistic
from groupglm.runtime.writing import write_whole
from groupglm.spaces.map_files import MapFiles

if TYPE_CHECKING:
    from groupglm.cli.journal import Journal
    from groupglm.cli.options.study import FitOptions, RunOptions
    from groupglm.cli.results.maps_read_back import Values
    from groupglm.cli.steps.study_design import Study
    from groupglm.estimator.group_model import GroupModel
    from groupglm.inference.peaks import Extreme
    from groupglm.report import HTMLReport
    from groupglm.spaces.base import Space

__all__ = ["Settings", "run"]


@dataclass(frozen=True, eq=False)
class Settings:
    """The options for a study's fit."""

    options: RunOptions
    how: FitOptions

    @property
    def reading(self) -> Reading:
        """The options for reading the maps."""
        how = self.how
        return Reading(self.options, how.missing, how.target_affine, how.zero_is_missing)

    @property
    def read(self) -> list[Path]:
        """The files that are read besides the maps."""
        how = self.how
        own = [*filter(None, [how.background])]
        own += how.small_volume.paths if isinstance(how.small_volume, MapFiles) else ()
        return [*self.reading.read, *own, *(() if how.atlas is None else how.atlas.files)]

    @property
    def rules(self) -> list[Rule]:
        """The corrections of the maps."""
        how = self.how
        return [
            Rule(each, how.cluster_threshold, how.two_sided, how.small_volume, how.atlas)
            for each in how.corrections
        ]

    @property
    def permutations(self) -> Permutations | None:
        """The options for permutation tests of the contrasts; None without them."""
        if self.how.permute is None:
            return None
        return Permutations(
            n_perm=self.how.permute,
            tfce=self.how.tfce,
            cluster_p=self.how.cluster_p,
            two_sided=self.how.two_sided,
            seed=self.how.seed,
            missing=self.how.missing,
            zero_is_missing=self.how.zero_is_missing,
            target_affine=self.how.target_affine,
            atlas=self.how.atlas,
            blocks=self.options.blocks,
        )

    def check_space(self, space: Space) -> None:
        """Refuse clusters, and smoothness, of places whose neighbours are not known."""
        from groupglm.inference.arguments import one_place_a_part, refuse_clusters
        from groupglm.inference.random_fields.estimation import check_cells

        how = self.how
        if how.cluster_threshold:
            refuse_clusters(space, "cluster_threshold", f"is {how.cluster_threshold}")
        if any(rule.correction.control in BY_FIELDS for rule in self.rules):
            check_cells(one_place_a_part(space))
        if self.permutations is not None:
            self.permutations.check_space(space)

    def permutation_facts(self, study: Study) -> dict[str, Any] | None:
        """Return what sidecars say of the permutations; None if there are none."""
        return None if self.permutations is None else self.permutations.facts(study)


@contextmanager
def claimed_fit(study: Study, settings: Settings) -> Iterator[None]:
    """Hold the place of a study's results; refuse a study that cannot be fitted or loses a file."""
    if settings.permutations is not None:
        check_permutable(study, settings.permutations)
    check_effects(study.plan.model, study.contrasts, settings.how.effects)
    outputs = settings.reading.outputs(study)
    with claimed_study(
        study,
        outputs,
        _targets(study, outputs, settings),
        settings.read,
        settings.permutation_facts(study),
        overwrite=settings.options.overwrite,
    ):
        yield


def _targets(study: Study, outputs: Outputs, settings: Settings) -> list[Target]:
    """Return all files that a fit may write."""
    names, how = outputs.names, settings.how
    paths = outputs.shared_paths
    paths += [outputs.folder / names.model] if how.save_model else []
    paths += [outputs.folder / name for name in names.pages] if how.report else []
    for contrast in study.contrasts:
        paths += [*outputs.paths(contrast).values(), outputs.degrees_path(contrast)]
        paths += effect_paths(outputs, contrast, how.effects).values()
        for rule in settings.rules:
            paths += rule.paths(outputs, contrast)
    targets = list(map(Target.of, paths))
    if settings.permutations is not None:
        targets += permutation_targets(study.contrasts, settings.permutations, outputs)
    return targets


def run(study: Study, settings: Settings, journal: Journal) -> dict[str, Any]:
    """Fit a study whose results are locked, and write them."""
    permutations = settings.permutations
    outputs = settings.reading.outputs(study)
    todo = _what_to_do(study, outputs, settings)
    needs_rows = permutations is not None or settings.how.report
    by_fields = any(rule.correction.control in BY_FIELDS for rule in settings.rules)
    fitted = Estimate(
        study,
        settings.reading,
        keeps_rows=needs_rows or by_fields,
        smoothness=by_fields,
        check_space=settings.check_space,
    )
    if todo or not _has_common(outputs, settings):
        _write_shared(study, outputs, fitted.model, settings, journal)
    mask = functools.cache(lambda: values_of(outputs.image(outputs.mask)))
    done = [_contrast(c, c in todo, outputs, fitted, mask, journal) for c in study.contrasts]
    if settings.how.effects != EffectOptions():
        for facts, contrast in zip(done, study.contrasts, strict=True):
            facts["effect_sizes"] = write_effects(
                fitted,
                contrast,
                settings.how.effects,
                outputs,
                journal,
                overwrite=settings.options.overwrite,
            )
    for facts, contrast in zip(done, study.contrasts, strict=True):
        facts["corrected"] = [
            correct_contrast(
                contrast, rule, outputs, fitted, journal, overwrite=settings.options.overwrite
            )
            for rule in settings.rules
        ]
    if permutations is not None:
        for facts, contrast in zip(done, study.contrasts, strict=True):
            facts["permuted"] = permute_contrast(
                fitted,
                study,
                contrast,
                permutations,
                outputs,
                settings.options,
                outputs.said,
                journal,
            )
    summary: dict[str, Any] = {"contrasts": done}
    if settings.how.report:
        summary["report"] = _report(
            study, outputs, fitted, settings, journal, done, redo=bool(todo)
        )
    return summary


def _report(
    study: Study,
    outputs: Outputs,
    fitted: Estimate,
    settings: Settings,
    journal: Journal,
    done: list[dict[str, Any]],
    *,
    redo: bool,
) -> str:
    """Write the page, unless one about the same results exists and no result is newer."""
    path = outputs.folder / outputs.names.report
    how = settings.how
    corrections = how.corrections or (Correction("fpr", 0.001),)
    said: dict[str, Any] = {
        "Contrasts": [contrast.facts() for contrast in study.contrasts],
        "Corrections": [correction.facts(two_sided=how.two_sided) for correction in corrections],
        "Page": {
            "ClusterThreshold": how.cluster_threshold,
            **facts_of_further(how),
            "Background": None if how.background is None else file_facts(how.background),
            **({} if how.atlas is None else {"Atlas": how.atlas.facts()}),
        },
    }
    tests = {}
    if settings.permutations is not None:
        facts = settings.permutations.facts(study)
        for own in done:
            found = own["permuted"]
            maps = {kind: outputs.image(Path(file)) for kind, file in found["files"].items()}
            tests[own["name"]] = test_on_page(
                facts,
                found["n_permutations"],
                maps,
                sign_flips=found["sign_flips"],
                assumption=found["assumption"],
                is_bootstrap=found["wild_bootstrap"],
            )
            redo |= found["status"] == "written"
        counts = {name: test.n_permutations for name, test in tests.items()}
        said["Permutation"] = {**facts, "NumberOfPermutations": counts}
    pages = [outputs.folder / name for name in outputs.names.pages]
    if redo or not all(outputs.is_done(own, said) for own in pages):
        weights = {contrast.name: contrast.tested for contrast in study.contrasts}
        facts = {"Description": "Page about the group model", **said}
        chosen: dict[str, Any] = {} if how.background is None else {"bg_img": how.background}
        chosen |= {} if how.atlas is None else {"atlas": how.atlas.load()}
        with outputs.described(path, facts) as draft:
            page = write_report(
                fitted.model,
                weights,
                corrections,
                draft,
                permutations=tests,
                two_sided=how.two_sided,
                cluster_threshold=how.cluster_threshold,
                further=further_of_fit(how),
                **chosen,
            )
        _write_methods(page, outputs, said)
        journal.say(f"Report: {path}")
    else:
        journal.say(f"Report: skipped, it is there already: {path}")
    return str(path)


def _write_methods(page: HTMLReport, outputs: Outputs, said: Mapping[str, Any]) -> None:
    """Write the page's paragraph on methods, and its references, into files of their own."""
    assert page.methods is not None  # noqa: S101  (a page of a fit has one)
    told = ("Paragraph on methods, for a paper", "Its references, as BibTeX")
    texts = (page.methods.markdown, page.methods.bibtex)
    for name, about, text in zip(outputs.names.methods, told, texts, strict=True):
        with outputs.described(outputs.folder / name, {"Description": about, **said}) as draft:
            write_whole(draft, text.encode())


def _what_to_do(study: Study, outputs: Outputs, settings: Settings) -> list[Contrast]:
    return [
        contrast
        for contrast in study.contrasts
        if not outputs.are_done(
            f"results of {contrast.name!r}",
            outputs.paths(contrast).values(),
            {"Contrast": contrast.facts()},
            overwrite=settings.options.overwrite,
        )
    ]


def _has_common(outputs: Outputs, settings: Settings) -> bool:
    names = outputs.names
    wanted = [names.design, names.mask, *([names.model] if settings.how.save_model else [])]
    return all(outputs.is_done(outputs.folder / name, {}) for name in wanted)


def _write_shared(
    study: Study, outputs: Outputs, model: GroupModel, settings: Settings, journal: Journal
) -> None:
    """Write the files that all contrasts share; --overwrite replaces those of another study."""
    if settings.options.overwrite:
        read = [*settings.read, *study.files]
        remove(contradicting(study, outputs, read, settings.permutation_facts(study)), journal)
    if any(rule.correction.control in BY_FIELDS for rule in settings.rules):
        model.rpv_img_  # noqa: B018  (estimated here, and with it the smoothness)
    write_common(study, outputs, model, journal)
    if settings.how.save_model:
        path = outputs.folder / outputs.names.model
        said = {"Description": "The fitted model, as SecondLevelModel.load reads it"}
        with outputs.described(path, said) as draft:
            model.save(draft)


def _contrast(
    contrast: Contrast,
    needed: bool,
    outputs: Outputs,
    fitted: Estimate,
    mask: Callable[[], Values],
    journal: Journal,
) -> dict[str, Any]:
    """Write the maps of a contrast unless they exist, and print its peak."""
    if needed:
        maps = fitted.model.compute_contrast(
            contrast.tested, second_level_stat_type=contrast.stat_type, output_type="all"
        )
        fitted.write_degrees(contrast, outputs)  # first: the sidecar of t or F names the file
        outputs.write(contrast, maps, fitted.facts(contrast))
    paths = outputs.paths(contrast)
    strongest = _strongest(outputs, paths["z"], mask, contrast.stat_type)
    told = ", ".join(
        f"{name.replace('_', ' ')} z {statistic(found['z'])} at "
        f"{found.get('place') or place(found['mm'])}"
        for name, found in strongest.items()
        if found is not None
    )
    status = "written" if needed else "skipped"
    done = "" if needed else " skipped, it is there already (--overwrite redoes it);"
    journal.say(f"{contrast.name}:{done} {told}")
    return {
        "name": contrast.name,
        "expression": contrast.expression,
        "stat_type": contrast.stat_type,
        "status": status,
        **strongest,
        "files": {kind: str(path) for kind, path in paths.items()},
    }


def _strongest(
    outputs: Outputs, path: Path, mask: Callable[[], Values], stat_type: str
) -> dict[str, dict[str, Any] | None]:
    """Find the strongest z of either sign in the mask; for F, whose z has one tail, the largest."""
    from groupglm.inference.peaks import extremes

    _, space, z = values_of(outputs.image(path), outputs.geometry)
    source, _, inside = mask()
    difference = source.difference(space)
    if difference is not None:
        raise ValueError(
            f"'{outputs.mask}' is not at the places of '{path}': {difference}; remove them to have "
            "them made again"
        )
    found = extremes(space, np.where(inside > 0, z, np.nan))
    facts = [None if one is None else _peak(one) for one in found]
    if stat_type == "F":
        return {"strongest": facts[0]}
    return {"strongest_positive": facts[0], "strongest_negative": facts[1]}


def _peak(found: Extreme) -> dict[str, Any]:
    """Return a value and its place: in mm if it has a position, in words if these say more."""
    known = not np.isnan(found.position).any()
    position = {"mm": [round(mm, 3) for mm in found.position]} if known else {}
    words = {} if known and found.where == place(found.position) else {"place": found.where}
    return {"z": found.value, **words, **position}
