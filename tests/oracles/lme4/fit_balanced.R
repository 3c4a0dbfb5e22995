# SPDX-License-Identifier: BSD-3-Clause
# Repeated-measures ANOVA by aov(Error(subject)). make_tables.py beside it runs it:
#   Rscript fit_balanced.R images.csv results.csv subject
# images.csv: a row an image: subject, time, group, y0, y1, ... (the voxels). Groups are compared if
# the design has columns for them (x5). results.csv: a row a voxel: F and both degrees of freedom.
arguments <- commandArgs(trailingOnly = TRUE)
data <- read.csv(arguments[1])
for (name in c("subject", "time", "group")) data[[name]] <- factor(data[[name]])
two_groups <- "x5" %in% names(data)

of_effect <- function(stratum, effect, at) {
  table <- summary(stratum)[[1]]
  rownames(table) <- trimws(rownames(table))
  found <- c(table[effect, "F value"], table[effect, "Df"], table["Residuals", "Df"],
             table[effect, "Pr(>F)"])
  names(found) <- paste0(at, c("_f", "_df1", "_df2", "_p"))
  found
}

fit <- function(name) {
  data$y <- data[[name]]
  if (!two_groups) {
    m <- aov(y ~ time + Error(subject), data)
    return(of_effect(m[["Within"]], "time", "time"))
  }
  m <- aov(y ~ group * time + Error(subject), data)
  c(of_effect(m[["subject"]], "group", "group"), of_effect(m[["Within"]], "time", "time"),
    of_effect(m[["Within"]], "group:time", "interaction"))
}

voxels <- grep("^y[0-9]+$", names(data), value = TRUE)
table <- as.data.frame(do.call(rbind, lapply(voxels, fit)))
table[] <- lapply(table, function(x) sprintf("%.15g", x))
write.csv(table, arguments[2], row.names = FALSE, quote = FALSE)
cat(R.version.string, "\n", sep = "")
