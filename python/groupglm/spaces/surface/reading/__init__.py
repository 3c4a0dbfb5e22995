# SPDX-License-Identifier: BSD-3-Clause
"""Files and objects of surfaces, opened and checked."""
