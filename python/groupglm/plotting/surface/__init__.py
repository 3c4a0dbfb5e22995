# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of maps on the surfaces of hemispheres, drawn without a display."""
