# SPDX-License-Identifier: BSD-3-Clause
"""The options of the commands, and the parsing of their texts."""
