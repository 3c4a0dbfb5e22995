# SPDX-License-Identifier: BSD-3-Clause
"""Where the data live: one folder for each kind of data, behind the protocol in `base`."""
