# SPDX-License-Identifier: BSD-3-Clause
"""Named regions: atlases, their tables of names, and spheres."""
