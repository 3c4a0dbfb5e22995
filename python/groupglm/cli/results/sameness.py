# SPDX-License-Identifier: BSD-3-Clause
"""Comparison of two results' inputs: whether they are the same, and what differs, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["difference", "made_by", "study_difference"]

_OPTIONS = {
    "Model": "the model",
    "Tau2": "--tau2",
    "Test": "--test",
    "VarianceGroups": "--variance-groups",
    "Covariance": "--covariance",
    "DF": "--df",
    "Adjustment": "--adjustment",
    "SubjectsColumn": "the column of subjects",
    "FamiliesColumn": "--families",
    "VisitsColumn": "--visits",
    "GroupsColumn": "--groups",
    "Mask": "--mask",
    "Surfaces": "--surfaces",
    "Areas": "--areas",
    "SmoothingFWHM": "--fwhm",
    "TargetGrid": "--target-affine",
    "Missing": "--missing",
    "TFCE": "--tfce",
    "ClusterFormingP": "--cluster-p",
    "TwoSided": "--two-sided",
    "ClusterThreshold": "--cluster-threshold",
    "Background": "--background",
    "Bounds": "--equivalence",
    "Alpha": "--alpha",
    "Level": "--level",
    "NumberOfBootstraps": "--n-bootstraps",
    "Units": "the units of --equivalence",
    "ExchangeabilityBlocks": "--exchangeability-blocks",
    "BlockPermutation": "--block-permutation",
    "SignFlip": "--sign-flip",
    "Seed": "--seed",
}

_INPUTS = {"DesignHash": "from another design", "InputListHash": "from other maps"}
_BESIDE = {
    "VarianceListHash": "from other variance maps",
    "WeightListHash": "from other maps of weights",
    "CovariateListHash": "from other maps of covariates",
}


def study_difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    """Return how the studies of two results differ, in words; None if they are the same.

    Results of one study share a design matrix and a mask.
    """
    for key, what in _INPUTS.items():
        if found.get(key) != wanted.get(key):
            return what
    changed = _changed(found.get("Settings"), wanted.get("Settings"))
    if changed:
        return f"with other settings ({changed})"
    others = (what for key, what in _BESIDE.items() if found.get(key) != wanted.get(key))
    return next(others, None)


def difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    """Return how two results of the same name differ, in words; None if they do not."""
    told = study_difference(found, wanted)
    if told:
        return told
    if found.get("Contrast") != wanted.get("Contrast"):
        then, now = ((facts.get("Contrast") or {}).get("Expression") for facts in (found, wanted))
        return f"from another contrast ({then} then, {now} now)"
    if found.get("Contrasts") != wanted.get("Contrasts"):
        return "from other contrasts"
    if found.get("Corrections") != wanted.get("Corrections"):
        return "with other corrections"
    for key in ("Permutation", "Correction", "Equivalence", "ConfidenceSet", "Page"):
        changed = _changed(found.get(key), wanted.get(key))
        if changed:
            return f"with other settings ({changed})"
    then, now = made_by(found), made_by(wanted)
    return None if then == now else f"by another version ({_word(then)} then, {_word(now)} now)"


def made_by(facts: Mapping[str, Any]) -> Any:
    """Return the version of this package that a sidecar names; None if it names none."""
    versions = facts.get("SoftwareVersions")
    return versions.get("groupglm") if isinstance(versions, dict) else None


def _changed(found: Any, wanted: Any) -> str:
    """Return, in words, the settings that differ, with both values."""
    then, now = (facts if isinstance(facts, dict) else {} for facts in (found, wanted))
    told = []
    for key in {**now, **then}:
        old, new = then.get(key), now.get(key)
        if key == "Model":  # ordinary least squares say nothing, as before there were others
            old, new = old or "ols", new or "ols"
        if old == new or key in ("Formula", "DesignMatrix"):
            continue  # the hash of the design decides, not how it was given
        name = _OPTIONS.get(key, key)
        if _word(old) == _word(new):
            told.append(f"{name} {_word(new)}, a file that has changed since")
        else:
            no = "no" if isinstance(old if new is None else new, bool) else "none"
            told.append(f"{name} {_word(old, no)} then, {_word(new, no)} now")
    return "; ".join(told)


def _word(value: Any, absent: str = "none") -> str:
    """Return a setting as the user wrote it; a file by its name."""
    if value is None or value is False:
        return absent
    if value is True:
        return "yes"
    if isinstance(value, list):
        named = bool(value) and isinstance(value[0], str)  # a file: name, size, time
        return str(value[0]) if named else ",".join(map(_word, value))
    return f"{value:.10g}" if isinstance(value, float) else str(value)
