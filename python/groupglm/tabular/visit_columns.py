# SPDX-License-Identifier: BSD-3-Clause
"""The columns of a table that hold the visit of each row."""

from __future__ import annotations

__all__ = ["RUN_WORDS", "VISIT_LABELS", "VISIT_WORDS"]

VISIT_LABELS = ("visit_label", "session_label")
"""Columns that hold the visit of each row, whatever its type."""

VISIT_WORDS = ("session_id", "visit", "session")
"""Columns that hold the visit of each row of a table of maps or regions.

Of a design only if they hold text: numbers may be a regressor.
"""

RUN_WORDS = ("run_id", "run")
"""Columns of a table of maps or regions that hold the run of each row."""
