# SPDX-License-Identifier: BSD-3-Clause
"""Write tests/cpp/special_tables.hpp: tails of the normal, t and F distributions by mpmath.

Run ``python tests/reference/make_special_tables.py [output]``; it takes some seconds, and its
output is checked in. The incomplete beta function is summed here from its hypergeometric series,
with as many digits as its cancellation needs, which shares no formula with the code under test.
"""

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mpmath import mp, mpf

DIGITS = 40
MAX_TERMS = 20_000
OUTPUT = Path(__file__).parents[1] / "cpp" / "special_tables.hpp"


class Tails(NamedTuple):
    """Both tails of a distribution at one value, and the z-score with the same upper tail."""

    log_sf: mpf
    log_cdf: mpf
    p: mpf
    z: mpf


def beta_series(a: mpf, b: mpf, x: mpf) -> mpf:
    """Regularised I_x(a, b) by DLMF 8.17.8, whose terms are all positive."""
    term = total = mpf(1)
    n = 0
    while term > total * mp.eps:
        term *= (a + b + n) / (a + 1 + n) * x
        total += term
        n += 1
    return total * mp.exp(a * mp.log(x) + b * mp.log1p(-x) - mp.log(a) - log_beta(a, b))


def log_beta(a: mpf, b: mpf) -> mpf:
    return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)


def beta_tails(a: mpf, b: mpf, odds: mpf) -> tuple[mpf, mpf]:
    """I_x(a, b) and its complement at x = odds / (1 + odds), both to DIGITS digits."""
    if a < b * odds:
        upper, lower = beta_tails(b, a, 1 / odds)
        return lower, upper
    # The lower tail is the smaller one: from its own series, unless that converges too slowly.
    x, y = odds / (1 + odds), 1 / (1 + odds)
    if DIGITS * mp.log(10) / -mp.log(x) < MAX_TERMS:
        lower = beta_series(a, b, x)
        return lower, 1 - lower
    mean = a / (a + b)
    deviance = a * mp.log(mean / x) + b * mp.log((1 - mean) / y)
    with mp.workdps(int(DIGITS + 10 + deviance / mp.log(10))):
        upper = beta_series(b, a, 1 / (1 + odds))
        return 1 - upper, upper


def z_of(lower: mpf, upper: mpf) -> mpf:
    """The normal quantile of ``lower``, from the smaller tail, by Halley's iteration."""
    smaller, log_p = min(lower, upper), mp.log(min(lower, upper))
    if smaller > mpf("0.3"):
        with mp.workdps(2 * DIGITS):
            return mp.erfinv(lower - upper) * mp.sqrt(2)
    root = mp.sqrt(-2 * log_p)
    z = root - mp.log(1 + root * mp.sqrt(2 * mp.pi)) / (root + mpf("0.5"))
    for _ in range(60):
        survival = mp.erfc(z / mp.sqrt(2)) / 2
        hazard = mp.npdf(z) / survival
        newton = (mp.log(survival) - log_p) / hazard
        change = newton / (1 + newton * (hazard - z) / 2)
        z += change
        if abs(change) < abs(z) * mpf(10) ** -20:
            break
    return z if upper < lower else -z


def tails(lower: mpf, upper: mpf) -> Tails:
    def log(this: mpf, other: mpf) -> mpf:
        return mp.log1p(-other) if other < mpf("0.1") else mp.log(this)

    return Tails(log(upper, lower), log(lower, upper), upper, z_of(lower, upper))


def t_tails(df: float, t: float) -> Tails:
    """Tails of Student's t: half the F(1, df) tail at t^2, and around zero its central half."""
    with mp.workdps(DIGITS):
        central, both = beta_tails(mpf(1) / 2, mpf(df) / 2, mpf(t) ** 2 / mpf(df))
        upper, lower = both / 2, mpf(1) / 2 + central / 2
        result = tails(lower, upper)
        if central < mpf("0.3"):
            result = result._replace(z=mp.sqrt(2) * mp.erfinv(central))
        if t < 0:
            return Tails(result.log_cdf, result.log_sf, lower, -result.z)
        return result


def f_tails(df_numerator: float, df_denominator: float, f: float) -> Tails:
    with mp.workdps(DIGITS):
        a, b = mpf(df_numerator) / 2, mpf(df_denominator) / 2
        return tails(*beta_tails(a, b, a * mpf(f) / b))


def normal_log_sf(z: float) -> mpf:
    with mp.workdps(DIGITS):
        if z < 0:
            return mp.log1p(-mp.erfc(-mpf(z) / mp.sqrt(2)) / 2)
        return mp.log(mp.erfc(mpf(z) / mp.sqrt(2)) / 2)


def log_uniform(rng: random.Random, low: float, high: float) -> float:
    return float(low * (high / low) ** rng.random())


def t_cases(rng: random.Random, n: int) -> Iterator[tuple[float, float]]:
    """Edges of the domain, then random cases whose z is spread over what p can represent."""
    for df in (1.0, 2.0, 20.0, 96.0, 1e5):
        for t in (1e-8, -1e-8, 0.5, 1.7, -1.7320508, 3.0, -6.0, 12.5, 40.0, 1e3, -1e3):
            yield df, t
    for _ in range(n):
        df = log_uniform(rng, 1.0, 1e5)
        z = rng.choice([rng.uniform(0, 4), rng.uniform(0, 38), log_uniform(rng, 1e-8, 1)])
        t = min(1e3, float(mp.sqrt(df * mp.expm1(mpf(z) ** 2 / df))))
        yield df, rng.choice([-1, 1]) * t


def f_cases(rng: random.Random, n: int) -> Iterator[tuple[float, float, float]]:
    for dfs in ((1.0, 1.0), (1.0, 1e5), (2.0, 17.0), (3.0, 96.0), (50.0, 1.0), (50.0, 1e5)):
        for f in (1e-8, 1e-3, 0.3, 1.0, 2.9, 11.0, 250.0, 1e6):
            yield *dfs, f
    for _ in range(n):
        dfs = log_uniform(rng, 1.0, 50.0), log_uniform(rng, 1.0, 1e5)
        # Statistics whose logarithm is within some standard deviations, or anywhere.
        spread = (2 / dfs[0] + 2 / dfs[1]) ** 0.5
        near = float(mp.exp(spread * rng.uniform(-6, 10)))
        f = rng.choice([near, near, log_uniform(rng, 1e-8, 1e6)])
        yield *dfs, min(max(f, 1e-8), 1e6)


def real_t_cases(rng: random.Random, n: int) -> Iterator[tuple[float, float]]:
    """As `t_cases`, each with degrees of freedom of its own, from half of one to ten million."""
    for df in (0.5, 0.75, 3.25, 1e6 + 0.5, 1e7):
        for t in (1e-8, -0.5, 1.7320508, 6.0, -37.0):
            yield df, t
    for _ in range(n):
        df = log_uniform(rng, 0.5, 1e7)
        z = rng.choice([rng.uniform(0, 4), rng.uniform(0, 38), log_uniform(rng, 1e-8, 1)])
        exponent = min(mpf(z) ** 2 / mpf(df), mpf(100))
        yield df, rng.choice([-1, 1]) * min(1e3, float(mp.sqrt(df * mp.expm1(exponent))))


def real_f_cases(rng: random.Random, n: int) -> Iterator[tuple[float, float, float]]:
    """Degrees of freedom as in `real_t_cases`; statistics whose tails mpmath can sum."""
    for _ in range(n):
        dfs = float(rng.randint(1, 50)), log_uniform(rng, 0.5, 1e7)
        spread = (2 / dfs[0] + 2 / dfs[1]) ** 0.5
        yield *dfs, float(mp.exp(min(spread * rng.uniform(-6, 3), 7)))


def chi_square_tails(rank: float, f: float) -> Tails:
    """Tails of F with infinite residual degrees of freedom: of a chi-square over its rank."""
    with mp.workdps(2 * DIGITS):
        a, x = mpf(rank) / 2, mpf(rank) * mpf(f) / 2
        upper = mp.gammainc(a, x, regularized=True)
        return tails(mp.gammainc(a, 0, x, regularized=True), upper)


def number(value: mpf | float) -> str:
    """The nearest double, as a C++ literal that no compiler warns to be out of range."""
    return "0.0" if abs(value) < mpf("2.3e-308") else repr(float(value))


def table(name: str, row: str, rows: list[tuple[mpf | float, ...]]) -> str:
    body = "\n".join("    {" + ", ".join(map(number, values)) + "}," for values in rows)
    struct = f"struct {name}Row {{\n  double {row};\n}};\n"
    return f"{struct}constexpr {name}Row k{name}Table[] = {{\n{body}\n}};\n"


def main(output: Path) -> None:
    rng = random.Random(20250817)  # noqa: S311 (test data)
    normal = [
        0.0,
        1e-8,
        -1e-8,
        *(s * x for x in (0.3, 1, 2.5, 4.9999, 5, 7.9, 8, 12, 19.9, 20, 37) for s in (1, -1)),
    ]
    normal += [1e2, 1e4, 1e10]
    parts = [
        table("Normal", "z, log_sf", [(z, normal_log_sf(z)) for z in normal]),
        table(
            "StudentT",
            "df, t, log_sf, p, z",
            [(df, t, (r := t_tails(df, t)).log_sf, r.p, r.z) for df, t in t_cases(rng, 160)],
        ),
        table(
            "FisherF",
            "df_numerator, df_denominator, f, log_sf, log_cdf, p, z",
            [(*case, *f_tails(*case)) for case in f_cases(rng, 160)],
        ),
        table(
            "RealT",
            "df, t, p, z",
            [(df, t, (r := t_tails(df, t)).p, r.z) for df, t in real_t_cases(rng, 150)],
        ),
        table(
            "RealF",
            "rank, df, f, p, z",
            [(*case, (r := f_tails(*case)).p, r.z) for case in real_f_cases(rng, 150)],
        ),
        table(
            "ChiSquare",
            "rank, f, p, z",
            [
                (rank, f, (r := chi_square_tails(rank, f)).p, r.z)
                for rank in (1.0, 2.0, 7.0, 50.0)
                for f in (1e-8, 0.02, 0.75, 1.0, 1.5, 12.0)
            ],
        ),
    ]
    head = (
        "// SPDX-License-Identifier: BSD-3-Clause\n#pragma once\n\n"
        "// Written by tests/reference/make_special_tables.py; do not edit.\n"
        "// clang-format off\nnamespace special_tables {\n\n"
    )
    output.write_text(
        head + "\n".join(parts) + "\n}  // namespace special_tables\n// clang-format on\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT)
