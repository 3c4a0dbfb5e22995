# SPDX-License-Identifier: BSD-3-Clause
"""Data sets with certified results from the NIST Statistical Reference Datasets.

Linear regression: Longley, Wampler 1 to 5, Filip, NoInt 1 and 2. Analysis of variance: SmLs 1
and 4. One sample: NumAcc 1 and 3. The certified values were computed by NIST in 500 digits from
the data as printed; tests/oracles/test_nist.py solves every regression once more in many digits, to
show that none went astray in this copy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Certified:
    """A data set and its certified solution."""

    name: str
    X: FloatArray  # (n, p)
    y: FloatArray  # (n,)
    beta: FloatArray  # (p,)
    standard_error: FloatArray  # (p,)
    residual_sd: float
    r_square: float


def _array(text: str) -> FloatArray:
    return np.array([float(word) for word in text.split()])


def _powers(x: FloatArray, degree: int) -> FloatArray:
    return np.vander(x, degree + 1, increasing=True)


def longley() -> Certified:
    """Six economic series of 1947 to 1962 against employment: nearly collinear columns."""
    table = _array(
        """
        60323  83.0 234289 2356 1590 107608 1947   61122  88.5 259426 2325 1456 108632 1948
        60171  88.2 258054 3682 1616 109773 1949   61187  89.5 284599 3351 1650 110929 1950
        63221  96.2 328975 2099 3099 112075 1951   63639  98.1 346999 1932 3594 113270 1952
        64989  99.0 365385 1870 3547 115094 1953   63761 100.0 363112 3578 3350 116219 1954
        66019 101.2 397469 2904 3048 117388 1955   67857 104.6 419180 2822 2857 118734 1956
        68169 108.4 442769 2936 2798 120445 1957   66513 110.8 444546 4681 2637 121950 1958
        68655 112.6 482704 3813 2552 123366 1959   69564 114.2 502601 3931 2514 125368 1960
        69331 115.7 518173 4806 2572 127852 1961   70551 116.9 554894 4007 2827 130081 1962
        """
    ).reshape(16, 7)
    return Certified(
        name="Longley",
        X=np.column_stack([np.ones(16), table[:, 1:]]),
        y=table[:, 0],
        beta=_array(
            """-3482258.63459582 15.0618722713733 -0.358191792925910E-01 -2.02022980381683
            -1.03322686717359 -0.511041056535807E-01 1829.15146461355"""
        ),
        standard_error=_array(
            """890420.383607373 84.9149257747669 0.334910077722432E-01 0.488399681651699
            0.214274163161675 0.226073200069370 455.478499142212"""
        ),
        residual_sd=304.854073561965,
        r_square=0.995479004577296,
    )


# What Wampler3, 4 and 5 add to the polynomial, times 1, 100 and 10000.
WAMPLER_RESIDUAL = _array(
    """759 -2048 2048 -2048 2523 -2048 2048 -2048 1838 -2048 2048 -2048 1838 -2048 2048 -2048
    2523 -2048 2048 -2048 759"""
)
WAMPLER3_STANDARD_ERROR = _array(
    """2152.32624678170 2363.55173469681 779.343524331583 101.475507550350 5.64566512170752
    0.112324854679312"""
)


def _wampler(
    number: int, beta: FloatArray, noise: float, residual_sd: float, r_square: float
) -> Certified:
    X = _powers(np.arange(21.0), 5)
    return Certified(
        name=f"Wampler{number}",
        X=X,
        # Five decimals are all that NIST prints; the sum would leave rounding errors behind them.
        y=np.round(X @ beta, 5) + noise * WAMPLER_RESIDUAL,
        beta=beta,
        standard_error=noise * WAMPLER3_STANDARD_ERROR,
        residual_sd=residual_sd,
        r_square=r_square,
    )


def wampler() -> tuple[Certified, ...]:
    """Fifth-degree polynomials at 0, 1, ... 20; 1 and 2 are exact, 5 is nearly all noise."""
    ones = np.ones(6)
    return (
        _wampler(1, ones, 0.0, 0.0, 1.0),
        _wampler(2, np.power(0.1, np.arange(6.0)), 0.0, 0.0, 1.0),
        _wampler(3, ones, 1.0, 2360.14502379268, 0.999995559025820),
        _wampler(4, ones, 100.0, 236014.502379268, 0.957478440825662),
        _wampler(5, ones, 10000.0, 23601450.2379268, 0.224668921574940e-02),
    )


def filip() -> Certified:
    """A tenth-degree polynomial in x = -9 ... -3: the condition number of X is 1e15."""
    y = _array(
        """
        0.8116 0.9072 0.9052 0.9039 0.8053 0.8377 0.8667 0.8809 0.7975 0.8162 0.8515 0.8766 0.8885
        0.8859 0.8959 0.8913 0.8959 0.8971 0.9021 0.909 0.9139 0.9199 0.8692 0.8872 0.89 0.891
        0.8977 0.9035 0.9078 0.7675 0.7705 0.7713 0.7736 0.7775 0.7841 0.7971 0.8329 0.8641 0.8804
        0.7668 0.7633 0.7678 0.7697 0.77 0.7749 0.7796 0.7897 0.8131 0.8498 0.8741 0.8061 0.846
        0.8751 0.8856 0.8919 0.8934 0.894 0.8957 0.9047 0.9129 0.9209 0.9219 0.7739 0.7681 0.7665
        0.7703 0.7702 0.7761 0.7809 0.7961 0.8253 0.8602 0.8809 0.8301 0.8664 0.8834 0.8898 0.8964
        0.8963 0.9074 0.9119 0.9228
        """
    )
    x = _array(
        """
        -6.860120914 -4.324130045 -4.358625055 -4.358426747 -6.955852379 -6.661145254 -6.355462942
        -6.118102026 -7.115148017 -6.815308569 -6.519993057 -6.204119983 -5.853871964 -6.109523091
        -5.79832982 -5.482672118 -5.171791386 -4.851705903 -4.517126416 -4.143573228 -3.709075441
        -3.499489089 -6.300769497 -5.953504836 -5.642065153 -5.031376979 -4.680685696 -4.329846955
        -3.928486195 -8.56735134 -8.363211311 -8.107682739 -7.823908741 -7.522878745 -7.218819279
        -6.920818754 -6.628932138 -6.323946875 -5.991399828 -8.781464495 -8.663140179 -8.473531488
        -8.247337057 -7.971428747 -7.676129393 -7.352812702 -7.072065318 -6.774174009 -6.478861916
        -6.159517513 -6.835647144 -6.53165267 -6.224098421 -5.910094889 -5.598599459 -5.290645224
        -4.974284616 -4.64454848 -4.290560426 -3.885055584 -3.408378962 -3.13200249 -8.726767166
        -8.66695597 -8.511026475 -8.165388579 -7.886056648 -7.588043762 -7.283412422 -6.995678626
        -6.691862621 -6.392544977 -6.067374056 -6.684029655 -6.378719832 -6.065855188 -5.752272167
        -5.132414673 -4.811352704 -4.098269308 -3.66174277 -3.2644011
        """
    )
    return Certified(
        name="Filip",
        X=_powers(x, 10),
        y=y,
        beta=_array(
            """-1467.48961422980 -2772.17959193342 -2316.37108160893 -1127.97394098372
            -354.478233703349 -75.1242017393757 -10.8753180355343 -1.06221498588947
            -0.670191154593408E-01 -0.246781078275479E-02 -0.402962525080404E-04"""
        ),
        standard_error=_array(
            """298.084530995537 559.779865474950 466.477572127796 227.204274477751
            71.6478660875927 15.2897178747400 2.23691159816033 0.221624321934227
            0.142363763154724E-01 0.535617408889821E-03 0.896632837373868E-05"""
        ),
        residual_sd=0.334801051324544e-02,
        r_square=0.996727416185620,
    )


def no_intercept() -> tuple[Certified, ...]:
    """A line through zero: R-squared is about zero, not about the mean."""
    return (
        Certified(
            name="NoInt1",
            X=np.arange(60.0, 71.0)[:, None],
            y=np.arange(130.0, 141.0),
            beta=np.array([2.07438016528926]),
            standard_error=np.array([0.165289256198347e-01]),
            residual_sd=3.56753034006338,
            r_square=0.999365492298663,
        ),
        Certified(
            name="NoInt2",
            X=np.array([[4.0], [5.0], [6.0]]),
            y=np.array([3.0, 4.0, 4.0]),
            beta=np.array([0.727272727272727]),
            standard_error=np.array([0.420827318078432e-01]),
            residual_sd=0.369274472937998,
            r_square=0.993348115299335,
        ),
    )


def regressions() -> tuple[Certified, ...]:
    """Every regression whose design a double can resolve without rescaling (all but Filip)."""
    return (longley(), *wampler(), *no_intercept())


@dataclass(frozen=True)
class OneSample:
    """Observations with a certified mean and standard deviation."""

    name: str
    y: FloatArray
    mean: float
    sd: float


def one_samples() -> tuple[OneSample, ...]:
    """Means 1e7 times the standard deviation: textbook sums of squares lose all digits."""
    alternating = np.tile([1000000.1, 1000000.3], 500)
    return (
        OneSample("NumAcc1", np.array([10000001.0, 10000003.0, 10000002.0]), 10000002.0, 1.0),
        OneSample("NumAcc3", np.concatenate([[1000000.2], alternating]), 1000000.2, 0.1),
    )


@dataclass(frozen=True)
class Anova:
    """A balanced one-way layout: nine treatments, 21 replicates; F = 21 exactly."""

    name: str
    y: FloatArray  # (189,) treatment by treatment
    treatment: npt.NDArray[np.int64]  # (189,)
    f: float
    residual_sd: float
    r_square: float


def anovas() -> tuple[Anova, ...]:
    """SmLs01 and SmLs04: the same layout upon 0 and 1,000,000."""
    means = [0.4, 0.3, 0.5, 0.3, 0.5, 0.3, 0.5, 0.3, 0.5]
    around = np.concatenate([[0.0], np.tile([-0.1, 0.1], 10)])
    layout = np.concatenate([mean + around for mean in means])
    treatment = np.repeat(np.arange(9), 21)
    return tuple(
        Anova(
            name, np.round(base + layout, 1), treatment, f=21.0, residual_sd=0.1, r_square=14.0 / 29
        )
        for name, base in (("SmLs01", 1.0), ("SmLs04", 1_000_000.0))
    )
