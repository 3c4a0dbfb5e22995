# SPDX-License-Identifier: BSD-3-Clause
"""Sheets: one or several maps on one figure and one scale, with outlines and peaks.

`asked` is what is wanted, `scales` the colours of all maps, `composing` where things are, `drawing`
the sheet of any kind of data. The folders of the kinds of data draw the maps.
"""
