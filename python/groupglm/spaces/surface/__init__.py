# SPDX-License-Identifier: BSD-3-Clause
"""Surfaces: meshes of hemispheres, and the values at their vertices."""
