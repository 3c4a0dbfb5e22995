# SPDX-License-Identifier: BSD-3-Clause
"""The words of a report about repeated measures, and their sources."""

from __future__ import annotations

from groupglm.models.words import Words

__all__ = ["words_of_nested", "words_of_random_intercept"]

_MODEL = (
    "Harville DA. Maximum likelihood approaches to variance component estimation and to related "
    "problems. Journal of the American Statistical Association. 1977;72(358):320-338.",
    "Laird NM, Ware JH. Random-effects models for longitudinal data. Biometrics. "
    "1982;38(4):963-974.",
)
_FREEDOM = {
    "kenward-roger": (
        "the covariance of the coefficients and the degrees of freedom are those of Kenward and "
        "Roger",
        "Kenward, 1997",
        (
            "Kenward MG, Roger JH. Small sample inference for fixed effects from restricted "
            "maximum likelihood. Biometrics. 1997;53(3):983-997.",
        ),
    ),
    "satterthwaite": (
        "degrees of freedom are Satterthwaite's",
        "Satterthwaite, 1946; Fai, 1996",
        (
            "Fai AHT, Cornelius PL. Approximate F-tests of multiple degree of freedom hypotheses "
            "in generalized least squares analyses of unbalanced split-plot experiments. Journal "
            "of Statistical Computation and Simulation. 1996;54(4):363-378.",
            "Satterthwaite FE. An approximate distribution of estimates of variance components. "
            "Biometrics Bulletin. 1946;2(6):110-114.",
        ),
    ),
}


def words_of_random_intercept(df: str, n_subjects: int) -> Words:
    """Return the report's words about a random intercept of so many subjects."""
    return _words(f"a random intercept of each of {n_subjects} subjects", df)


def words_of_nested(df: str, n_subjects: int, n_families: int) -> Words:
    """Return the report's words about random intercepts of subjects within families."""
    return _words(
        f"random intercepts of {n_subjects} subjects within {n_families} families, which have "
        "random intercepts too",
        df,
    )


def _words(intercepts: str, df: str) -> Words:
    plain = f"fitted by restricted maximum likelihood with {intercepts}"
    text, cited, references = _FREEDOM[df]
    return Words(
        plain=f"{plain}; {text}",
        cited=f"{plain} (Laird, 1982; Harville, 1977); {text} ({cited})",
        references=tuple(sorted((*_MODEL, *references))),
    )
