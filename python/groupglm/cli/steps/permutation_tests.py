# SPDX-License-Identifier: BSD-3-Clause
"""The permutation test of a contrast, and its files."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.cli.options.blocks import BlockOptions
from groupglm.cli.results.claims import claimed_study
from groupglm.cli.results.maps_read_back import values_of
from groupglm.cli.results.names import Contrast, name_contrast, read_json, sidecar
from groupglm.cli.results.records import PermutationTarget, Target
from groupglm.cli.results.removal import contradicting, remove
from groupglm.cli.results.study_results import Outputs
from groupglm.cli.steps.estimation import Estimate, Reading, write_common
from groupglm.cli.steps.permuted_table import (
    NO_MESH,
    has_table,
    is_tabulated,
    table_path,
    write_permuted_table,
)
from groupglm.errors import in_quotes
from groupglm.inference.corrected_p.names import PREFIX
from groupglm.runtime.naming import counted
from groupglm.runtime.rounding import p_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from groupglm.cli.journal import Journal
    from groupglm.cli.options.atlases import AtlasChoice
    from groupglm.cli.options.study import RunOptions
    from groupglm.cli.steps.study_design import Study
    from groupglm.inference.permutation.options import PermutationOptions
    from groupglm.report import PermutationTest
    from groupglm.spaces.base import Space

__all__ = [
    "Permutations",
    "check_permutable",
    "permutation_targets",
    "permute_contrast",
    "run_permutations",
    "test_on_page",
]

_MEANING = {
    "t": "t statistic",
    "F": "F statistic",
    "size": "size of the {one}'s cluster, in {unit}",
    "mass": "mass of the {one}'s cluster: the sum of |statistic| - cluster-forming threshold",
    "tfce": "statistic enhanced by threshold-free cluster enhancement",
    "max_t": "{many}",
    "max_F": "{many}",
    "max_size": "sizes of clusters",
    "max_mass": "masses of clusters",
    "max_tfce": "enhanced statistics",
}


@dataclass(frozen=True)
class Permutations:
    """The options for permutation tests of contrasts."""

    n_perm: int
    tfce: bool
    cluster_p: float | None
    two_sided: bool
    seed: int
    missing: Any
    zero_is_missing: bool
    target_affine: Any = None
    atlas: AtlasChoice | None = None
    blocks: BlockOptions = field(default_factory=BlockOptions)

    def check_space(self, space: Space) -> None:
        """Refuse clusters of places whose neighbours are not known."""
        from groupglm.inference.arguments import refuse_clusters

        if self.cluster_p is not None:
            refuse_clusters(space, "threshold", f"is {self.cluster_p:g}")
        if self.tfce:
            refuse_clusters(space, "tfce", "is given")

    def facts(self, study: Study) -> dict[str, Any]:
        """Return the facts for sidecars, except the number of permutations."""
        blocks = study.blocks
        return {
            "TFCE": self.tfce,
            "ClusterFormingP": self.cluster_p,
            "TwoSided": self.two_sided,
            "Seed": self.seed,
            **({} if blocks is None else {"ExchangeabilityBlocks": blocks.facts()}),
            **self.blocks.facts(),
        }

    def options(
        self, study: Study, contrast: Contrast, *, n_jobs: int | None = 1
    ) -> PermutationOptions:
        """Return the options of the test of a contrast."""
        from groupglm.inference.permutation.options import check_options

        options = check_options(
            n_perm=self.n_perm,
            two_sided=self.two_sided and contrast.stat_type == "t",
            random_state=self.seed,
            threshold=self.cluster_p,
            tfce=self.tfce,
            tfce_powers=None,  # those of each part: surfaces have others than voxels
            missing=self.missing,
            n_jobs=n_jobs,
            verbose=1,
            **self.blocks.arguments,
        )
        blocks = None if study.blocks is None else study.blocks.labels
        return replace(
            options,
            exchangeability_blocks=blocks,
            subjects=study.subjects_of_maps,
            image_names=[in_quotes(label) for label in study.maps],
        )


def run_permutations(
    study: Study, options: RunOptions, how: Permutations, journal: Journal
) -> list[dict[str, Any]]:
    """Test all contrasts of a study by permutation."""
    check_permutable(study, how)
    reading = Reading(options, how.missing, how.target_affine, how.zero_is_missing)
    outputs = reading.outputs(study)
    targets = [
        *map(Target.of, outputs.shared_paths),
        *permutation_targets(study.contrasts, how, outputs),
    ]
    overwrite = options.overwrite
    facts = how.facts(study)
    with claimed_study(study, outputs, targets, reading.read, facts, overwrite=overwrite):
        fitted = Estimate(study, reading, keeps_rows=True, check_space=how.check_space)
        if overwrite or not outputs.is_done(outputs.mask, {}):
            model = fitted.model  # if the fit fails, existing results stay
            if overwrite:
                read = [*reading.read, *study.files]
                remove(contradicting(study, outputs, read, facts), journal)
            write_common(study, outputs, model, journal)
        return [
            {
                "name": c.name,
                **permute_contrast(fitted, study, c, how, outputs, options, fitted.facts, journal),
            }
            for c in study.contrasts
        ]


def permutation_targets(
    contrasts: Sequence[Contrast], how: Permutations, outputs: Outputs
) -> list[Target]:
    """Return the files that permutations of contrasts write."""
    targets: list[Target] = []
    for contrast in contrasts:
        paths = [_path(outputs, contrast, name) for name in _names(contrast, how)]
        paths.append(table_path(outputs, contrast))
        targets += [
            *map(Target.of, paths),
            PermutationTarget.of(outputs.permutation_state(contrast.label)),
        ]
    return targets


def check_permutable(study: Study, how: Permutations) -> None:
    """Refuse, before the long work, contrasts that no rearrangement can test, or another test."""
    from groupglm.inference.permutation.planning import check_exchange

    plan = study.plan
    for contrast in study.contrasts:
        if contrast.stat_type == "F" and len(contrast.weights) == 1:
            raise ValueError(
                f"contrast {contrast.name!r} is an F test of one row, which cannot be permuted "
                "here; make it a t test, which with both tails is the same"
            )
        weights = np.array(contrast.weights, dtype=np.float64)
        options = how.options(study, contrast)
        check_exchange(plan.model, plan.X, weights, plan.column_names, options)


def permute_contrast(
    fitted: Estimate,
    study: Study,
    contrast: Contrast,
    how: Permutations,
    outputs: Outputs,
    options: RunOptions,
    facts: Callable[[Contrast], Mapping[str, Any]],
    journal: Journal,
) -> dict[str, Any]:
    """Test a contrast by permutation, and write maps of corrected p-values.

    Existing results are skipped. A test that was interrupted, or that has fewer permutations than
    wanted, is continued.
    """
    from groupglm.inference.permutation.group_test import rearrangement_of
    from groupglm.inference.permutation.resuming import ResumeError

    names = _names(contrast, how)
    paths = {name: _path(outputs, contrast, name) for name in names}
    said = {"Contrast": contrast.facts(), "Permutation": how.facts(study)}
    if how.atlas is not None:
        said["Atlas"] = how.atlas.facts()
    table = table_path(outputs, contrast)
    wanted = [*paths.values(), *([table] if has_table(paths.values()) else [])]
    progress = outputs.permutation_state(contrast.label)
    if options.overwrite:
        progress.unlink(missing_ok=True)
    what = f"permutations of {contrast.name!r}"
    if outputs.are_done(what, wanted, said, overwrite=options.overwrite):
        found = [read_json(sidecar(path)) or {} for path in paths.values()]
        counts = [said.get("NumberOfPermutations") for said in found]
        n_done = {count for count in counts if count is not None}  # several if interrupted
        enough = all(said.get("NumberAskedFor", 0) >= how.n_perm for said in found)
        if enough and len(n_done) == 1:
            number = n_done.pop()
            journal.say(
                f"{contrast.name}: permutations skipped, {number} of them are there already "
                "(--overwrite redoes them)"
            )
            return _summary(outputs, paths, number, "skipped", found[0])
    try:
        chosen = how.options(study, contrast, n_jobs=options.n_jobs)
        images, number = _permute(fitted, contrast, chosen, progress)
    except ResumeError as error:
        raise ValueError(
            f"{outputs.names.option} '{outputs.folder}' holds interrupted permutations that cannot "
            f"be continued: {progress.name} {error.reason}; add --overwrite to begin anew, or "
            "give another folder"
        ) from error
    said |= facts(contrast)
    flips, is_bootstrap, assumption = rearrangement_of(
        fitted.group.result, np.array(contrast.weights), chosen
    )
    numbers = {
        "NumberOfPermutations": number,
        "NumberAskedFor": how.n_perm,
        "SignFlips": flips,
        "Assumption": assumption,
        **({"WildBootstrap": True} if is_bootstrap else {}),
    }
    space = fitted.model.masker_.space
    one, many = space.place_words
    words = {"one": one, "many": many, "unit": space.unit}
    _write(
        fitted, contrast, images, paths, how, outputs, {**said, **numbers},
        intervals=study.blocks is None,
    )  # fmt: skip
    summary = _summary(outputs, paths, number, "written", numbers)
    what = counted(number, "sign flip" if flips else "permutation")
    if is_bootstrap:
        what = f"{counted(number, 'sample')} of a wild bootstrap"
    tails = ""
    if contrast.stat_type == "t":  # F has one tail
        tails = ", both tails" if how.two_sided else ", the positive tail"
    for name, p in summary["smallest_p"].items():
        over = _MEANING[f"max_{name}"].format(**words)
        formed = "" if name not in ("size", "mass") else f", {_formed(how, one, many)}"
        journal.say(
            f"{contrast.name}: {name}: smallest p {p_value(p)}, family-wise over {over}"
            f"{formed}{tails} ({what})"
        )
    return summary


def _write(
    fitted: Estimate,
    contrast: Contrast,
    images: Mapping[str, Any],
    paths: Mapping[str, Path],
    how: Permutations,
    outputs: Outputs,
    said: Mapping[str, Any],
    *,
    intervals: bool,
) -> None:
    """Write the maps of a test, and the table of its clusters."""
    space = fitted.model.masker_.space
    one, many = space.place_words
    words = {"one": one, "many": many, "unit": space.unit}
    tabulated = is_tabulated(space)
    for name, path in paths.items():
        key = name.removeprefix("logp_")
        meaning = _MEANING[key].format(**words)
        if key != name:
            meaning = f"-log10 of p, corrected for all {meaning} by the largest of each permutation"
        name_contrast(images[name], contrast)
        values = {"Values": key if key == name else "logp"}
        facts = {"Description": meaning, **values, **said}
        facts |= {} if tabulated else {"Clusters": NO_MESH}
        outputs.write_image(images[name], path, facts, keep=name.startswith(PREFIX))
    if tabulated:
        write_permuted_table(
            fitted.group,
            contrast,
            images,
            outputs,
            said,
            two_sided=how.two_sided,
            atlas=None if how.atlas is None else how.atlas.load(),
            intervals=intervals,
        )


def test_on_page(
    facts: Mapping[str, Any],
    n_done: int,
    files: Mapping[str, Any],
    *,
    sign_flips: bool | None,
    assumption: str | None,
    is_bootstrap: bool,
) -> PermutationTest:
    """Return a contrast's permutation test in the form that a page shows."""
    from groupglm.report import PermutationTest

    return PermutationTest(
        {name: image for name, image in files.items() if name.startswith(PREFIX)},
        n_permutations=n_done,
        two_sided=bool(facts.get("TwoSided")),
        cluster_p=facts.get("ClusterFormingP"),
        sign_flip=sign_flips,
        assumption=assumption,
        is_bootstrap=is_bootstrap,
    )


def _formed(how: Permutations, one: str, many: str) -> str:
    """Return the end of a line on clusters: p of a cluster's places is not corrected."""
    return f"formed at p < {how.cluster_p} of a {one}, not corrected for the number of {many}"


def _names(contrast: Contrast, how: Permutations) -> list[str]:
    names: list[str] = [contrast.stat_type]
    if how.cluster_p is not None:
        names += ["size", "mass"]
    if how.tfce:
        names.append("tfce")
    maxima = [f"logp_max_{name}" for name in names]
    return maxima if len(names) == 1 else names + maxima  # fit writes the statistic alone


def _path(outputs: Outputs, contrast: Contrast, name: str) -> Path:
    """Return the file of a map: ``stat-t_desc-permutation``, ``stat-logp_desc-maxTfce``."""
    kind = f"{name}_desc-permutation"
    if name.startswith(PREFIX):
        own = name.removeprefix(PREFIX)
        kind = f"logp_desc-max{own[:1].upper()}{own[1:]}"
    return outputs.image_path(contrast, kind)


def _permute(
    fitted: Estimate, contrast: Contrast, options: PermutationOptions, progress: Path
) -> tuple[Mapping[str, Any], int]:
    from groupglm.inference.permutation.group_test import permute_group
    from groupglm.inference.permutation.resuming import load_state

    outputs = permute_group(
        fitted.group,
        fitted.data,
        np.array(contrast.weights, dtype=np.float64),
        options,
        label=contrast.name,
        resume=progress,
        null_value=contrast.null_value,
    )
    images = outputs if isinstance(outputs, dict) else {f"logp_max_{contrast.stat_type}": outputs}
    return images, load_state(progress).n_done


def _summary(
    outputs: Outputs,
    paths: Mapping[str, Path],
    n_done: int,
    status: str,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    smallest = {}
    for name, path in paths.items():
        if name.startswith(PREFIX):
            _, _, logp = values_of(outputs.image(path))
            smallest[name.removeprefix(PREFIX)] = float(10.0 ** -np.nanmax(logp))  # NaN: not tested
    return {
        "status": status,
        "n_permutations": n_done,
        "sign_flips": facts.get("SignFlips"),
        "wild_bootstrap": bool(facts.get("WildBootstrap")),
        "assumption": facts.get("Assumption"),
        "smallest_p": smallest,
        "files": {name: str(path) for name, path in paths.items()},
    }
