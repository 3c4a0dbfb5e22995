# SPDX-License-Identifier: BSD-3-Clause
"""Values of images in regions: a table with a row for each image and region."""
