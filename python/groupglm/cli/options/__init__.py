# SPDX-License-Identifier: BSD-3-Clause
"""The options of the commands, and how their texts are read."""
