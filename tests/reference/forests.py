# SPDX-License-Identifier: BSD-3-Clause
"""Trials that metafor knows, and what a forest plot shows of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Thirteen trials of the vaccine against tuberculosis: log risk ratios and their variances (Colditz
# and others, JAMA 271, 1994), as metafor 3.8.1 has them:
#   dat <- escalc(measure="RR", ai=tpos, bi=tneg, ci=cpos, di=cneg, data=dat.bcg)
Y = [
    -0.88931133392020545, -1.5853886572014306, -1.3480731482996933, -1.4415511900213054,
    -0.21754732221129558, -0.78611558581886398, -1.6208982235983918, 0.011952333523840508,
    -0.4694176487381494, -1.3713448034727844, -0.33935882833839059, 0.44591340057137874,
    -0.017313948216879815,
]  # fmt: skip
V = [
    0.32558476500396133, 0.19458112139814385, 0.41536796536796539, 0.020010031902247573,
    0.051210172169630863, 0.0069056184559087574, 0.22301724757231517, 0.0039615792978177295,
    0.056434210463248966, 0.07302479361302891, 0.01241221397155972, 0.53250584520015276,
    0.071404659683986293,
]  # fmt: skip
RANDOM = [1.0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0]  # dat$alloc == "random"
LATITUDE = [44.0, 55, 42, 52, 13, 44, 19, 13, 27, 42, 18, 33, 33]  # dat$ablat
# summary(dat)
LOW = [
    -2.00766747907616, -2.44995523366356, -2.61125125703834, -1.71880146243462, -0.661080598967723,
    -0.948988692652984, -2.54648537392709, -0.11140991247339, -0.935024452353557, -1.900987831893,
    -0.557718643426678, -0.984331080667863, -0.541048670936036,
]  # fmt: skip
HIGH = [
    0.229044811235751, -0.720822080739297, -0.0848950395610475, -1.16430091760799,
    0.225985954545131, -0.623242478984743, -0.695311073269696, 0.135314579521071,
    -0.00381084512274221, -0.841701775052568, -0.120999013250103, 1.87615788181062,
    0.506420774502276,
]  # fmt: skip


def parts(ax: Any, gid: str) -> list[Any]:
    return [one for one in ax.get_children() if one.get_gid() == gid]


def diamonds(ax: Any) -> list[tuple[float, float, float]]:
    """Return the middle, the left and the right end of each diamond, from the top."""
    found = []
    for patch in parts(ax, "estimate"):
        x, y = patch.get_xy()[:4].T
        found.append((y[0], (x[1], x.min(), x.max())))
    return [ends for _, ends in sorted(found, key=lambda one: -one[0])]


def subjects(ax: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return effects, the areas of the squares and the ends of the intervals, from the top."""
    (squares,) = parts(ax, "subjects")
    (lines,) = parts(ax, "intervals")
    ends = np.array([[segment[0, 0], segment[1, 0]] for segment in lines.get_segments()])
    return squares.get_offsets().data[:, 0], squares.get_sizes(), ends


def texts(ax: Any) -> list[str]:
    return [text.get_text().replace("\N{MINUS SIGN}", "-") for text in ax.texts]
