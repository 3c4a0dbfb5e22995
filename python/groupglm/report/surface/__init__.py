# SPDX-License-Identifier: BSD-3-Clause
"""The pictures of surfaces on a page: views of both hemispheres, and a viewer to turn them."""

from __future__ import annotations

from groupglm.report.surface.drawing import drawing_of
from groupglm.report.surface.view import viewer_of
from groupglm.report.surface.views import checked_views

__all__ = ["checked_views", "drawing_of", "viewer_of"]
