# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of volumes: slices and glass brains, over a picture of the brain."""
