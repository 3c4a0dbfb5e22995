# SPDX-License-Identifier: BSD-3-Clause
"""From opened inputs to rows, and from rows to the state of a fit; the storage of rows."""
