# SPDX-License-Identifier: BSD-3-Clause
"""The pictures of volumes on a page: slices, glass brains, the grid, and a viewer."""

from __future__ import annotations

from groupglm.report.volume.drawing import drawing_of
from groupglm.report.volume.view import viewer_of
from groupglm.report.volume.views import checked_views

__all__ = ["checked_views", "drawing_of", "viewer_of"]
