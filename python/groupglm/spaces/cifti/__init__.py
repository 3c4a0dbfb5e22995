# SPDX-License-Identifier: BSD-3-Clause
"""Grayordinates: CIFTI-2 files, read by their axes, and a space of vertices and voxels."""
