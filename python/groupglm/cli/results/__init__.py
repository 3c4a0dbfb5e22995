# SPDX-License-Identifier: BSD-3-Clause
"""What a command writes: whose a file is, whether it is there already, and how it gets there.

A file is ours if its sidecar says so: written by groupglm, with this size and this hash. `records`
tells that, and writes. The order is fixed, so that whatever interrupts leaves no file of unknown
origin: the draft is whole and on the disk; an old file goes; the sidecar, with size and hash of
the draft, takes its place; the draft gets its name. A sidecar without its file is a result that
is absent.

`claims` is what a command does before it reads anything: it takes the lock (`locks`), removes
drafts of killed runs, and refuses targets that are not ours or that are read. `sameness` says
whether two results are of the same study. `study_results` and `made` hold the results of a study,
and a file made of another; `removal` is what ``--overwrite`` removes.
"""
