# SPDX-License-Identifier: BSD-3-Clause
"""What every layer may use: checks of arguments and paths, whole files, progress, workers."""
