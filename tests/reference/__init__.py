# SPDX-License-Identifier: BSD-3-Clause
"""Slow, obvious versions of what groupglm computes, and published results to hold it to."""
