# SPDX-License-Identifier: BSD-3-Clause
# Estimates variances by clubSandwich. make_tables.py beside it writes the problems and runs it:
#   Rscript fit_problems.R problems.csv results.csv
# problems.csv: a row an observation: problem, subject, y, x0, x1, ... (a column that the problem
# lacks is NA in all its rows; an NA in y is a missing image).
# The contrast of several coefficients is that of the last two.

suppressMessages(library(clubSandwich))
arguments <- commandArgs(trailingOnly = TRUE)
data <- read.csv(arguments[1], colClasses = "numeric")
columns <- names(data)[startsWith(names(data), "x")]
types <- c("CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3")

results <- list()
for (number in unique(data$problem)) {
  d <- data[data$problem == number & !is.na(data$y), ]
  own <- columns[!is.na(unlist(d[1, columns]))]
  fit <- lm(reformulate(own, "y", intercept = FALSE), data = d)
  p <- length(own)
  for (type in types) {
    V <- tryCatch(suppressWarnings(vcovCR(fit, cluster = d$subject, type = type)),
                  error = function(problem) NULL)
    # CR3 and CR1p of a design with a column for each subject are not there.
    if (is.null(V) || anyNA(V)) next
    tests <- coef_test(fit, vcov = V, test = "Satterthwaite")
    F <- Wald_test(fit, constraints = constrain_zero(c(p - 1, p), coefs = coef(fit)), vcov = V,
                   test = "HTZ")
    row <- data.frame(problem = number, type = match(type, types) - 1,
                      F = F$Fstat, df_F = F$df_denom)
    for (j in seq_along(columns)) {
      row[[paste0("variance", j - 1)]] <- if (j <= p) V[j, j] else NA
      row[[paste0("df", j - 1)]] <- if (j <= p) tests$df_Satt[j] else NA
    }
    results[[length(results) + 1]] <- row
  }
}
table <- do.call(rbind, results)
table[] <- lapply(table, function(column) sprintf("%.17g", column))
write.csv(table, arguments[2], row.names = FALSE, quote = FALSE)
cat("R", as.character(getRversion()), "clubSandwich",
    as.character(packageVersion("clubSandwich")))
