# SPDX-License-Identifier: BSD-3-Clause
"""The pictures of tables of regions on a page: their effects with intervals, in order."""

from __future__ import annotations

from groupglm.report.table.drawing import checked_views, drawing_of

__all__ = ["checked_views", "drawing_of"]
