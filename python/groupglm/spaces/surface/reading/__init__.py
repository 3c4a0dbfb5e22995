# SPDX-License-Identifier: BSD-3-Clause
"""Open, check and read data of surfaces: GIFTI, FreeSurfer, and images in memory."""
