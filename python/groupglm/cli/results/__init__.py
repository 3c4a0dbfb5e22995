# SPDX-License-Identifier: BSD-3-Clause
"""The files that a command writes: who wrote them, whether they exist, how to write them.

A file is ours if its sidecar says that groupglm wrote it, with this size and this hash. `records`
checks this, and writes files, in a fixed order of steps:

1. Write the whole draft to the disk.
2. Remove the old file.
3. Write the sidecar, with the size and the hash of the draft.
4. Give the draft the name of the file.

An interruption between two steps therefore leaves no file of unknown origin. A sidecar without its
file counts as an absent result.

`claims` is the first step of a command, before it reads anything: it takes the lock (`locks`),
removes drafts of killed runs, and refuses targets that are not ours or that the command reads.
`sameness` says whether two results are of the same study. `study_results` has the results of a
study, `derived_files` a file that is made from another one, and `removal` removes what
``--overwrite`` replaces.
"""
