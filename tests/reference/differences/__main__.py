# SPDX-License-Identifier: BSD-3-Clause
"""Print the differences as tables, or write them into the page."""

from __future__ import annotations

import argparse
import sys

from reference.differences.page import PAGE, page, tables

parser = argparse.ArgumentParser(prog="python -m reference.differences", description=__doc__)
parser.add_argument("--write", action="store_true", help="write the tables into the page")
if parser.parse_args().write:
    PAGE.write_text(page(), encoding="utf-8")
else:
    sys.stdout.write(tables())
