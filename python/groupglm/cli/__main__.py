# SPDX-License-Identifier: BSD-3-Clause
"""``python -m groupglm.cli``: the same as ``groupglm``."""

from groupglm.cli import main

main(prog_name="groupglm")
