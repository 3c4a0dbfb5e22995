# SPDX-License-Identifier: BSD-3-Clause
# Writes one of lme4's data sets as images: Rscript published.R name.csv images.csv
# name.csv has a column "name" of one row. README.md beside it says where the data come from.
suppressMessages(library(lme4))
arguments <- commandArgs(trailingOnly = TRUE)
table <- switch(read.csv(arguments[1])$name,
  dyestuff = with(Dyestuff, data.frame(subject = Batch, x0 = 1, y0 = Yield)),
  dyestuff2 = with(Dyestuff2, data.frame(subject = Batch, x0 = 1, y0 = Yield)),
  pastes = with(Pastes, data.frame(subject = sample, family = batch, x0 = 1, y0 = strength)),
  sleepstudy = with(sleepstudy,
                    data.frame(subject = Subject, x0 = 1, x1 = Days, y0 = sprintf("%.17g", Reaction)))
)
write.csv(table, arguments[2], row.names = FALSE, quote = FALSE)
