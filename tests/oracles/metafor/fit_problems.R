# SPDX-License-Identifier: BSD-3-Clause
# Fits problems by metafor's rma.uni. make_tables.py beside it writes the problems and runs it:
#   Rscript fit_problems.R problems.csv results.csv
# problems.csv: a row an observation: problem, y, v, x0, x1, ... (a column of the design that the
# problem lacks is NA in all its rows; an NA in y or v is a missing value).
# The contrast of several coefficients is that of all but the first.
#
# The likelihood can have two maxima, and metafor's own start may lead to the lower one. Other starts
# are tried, and what leads highest is in the table; "lower" says where that was another start.
# metafor's threshold is absolute, so that the last fit is made in units of tau2, or of the smallest
# variance if that is larger; a unit is a power of two, so that changing it is exact.

suppressMessages(library(metafor))
arguments <- commandArgs(trailingOnly = TRUE)
data <- read.csv(arguments[1], colClasses = "numeric")
estimators <- c("REML", "ML", "DL", "PM", "HE")
tests <- c("z", "t", "knha", "adhoc")
n_coefficients <- sum(startsWith(names(data), "x"))

fit <- function(d, X, method, test, unit, init) {
  control <- list(threshold = 1e-12, maxiter = 10000, tol = 1e-14, tau2.max = 1e12)
  if (!is.null(init)) control$tau2.init <- init / unit^2
  columns <- if (ncol(X) > 1) 2:ncol(X) else 1
  tryCatch(
    suppressWarnings(rma.uni(d$y / unit, d$v / unit^2, mods = X, intercept = FALSE,
                             method = method, test = test, btt = columns, control = control)),
    error = function(problem) NULL
  )
}

log_likelihood <- function(r, method) {
  if (is.null(r)) -Inf else as.numeric(logLik(r, REML = method == "REML"))
}

power_of_two <- function(x) 2^round(log2(x))

# Where to start for the highest maximum, and in which unit to end.
best_start <- function(d, X, method) {
  unit <- power_of_two(sd(d$y))
  default <- fit(d, X, method, "z", unit, NULL)
  best <- default
  if (method %in% c("REML", "ML")) {
    for (init in median(d$v) * 10^seq(-6, 6, 2)) {
      other <- fit(d, X, method, "z", unit, init)
      if (log_likelihood(other, method) > log_likelihood(best, method) + 1e-9) best <- other
    }
  }
  if (is.null(best)) stop("no start converged: problem ", d$problem[1], ", ", method)
  tau2 <- best$tau2 * unit^2
  list(
    unit = power_of_two(sqrt(max(tau2, min(d$v)))),
    init = if (method %in% c("REML", "ML")) tau2 else NULL,
    lower = log_likelihood(default, method) < log_likelihood(best, method)
  )
}

padded <- function(x) c(x, rep(NA, n_coefficients - length(x)))

lines <- list()
for (d in split(data, data$problem)) {
  X <- as.matrix(d[, startsWith(names(d), "x"), drop = FALSE])
  X <- X[, !is.na(X[1, ]), drop = FALSE]
  keep <- !is.na(d$y) & !is.na(d$v)
  d <- d[keep, ]
  X <- X[keep, , drop = FALSE]
  for (method in estimators) {
    start <- best_start(d, X, method)
    unit <- start$unit
    for (test in tests) {
      r <- fit(d, X, method, test, unit, start$init)
      if (is.null(r)) stop("the last fit did not converge: problem ", d$problem[1], ", ", method)
      lines[[length(lines) + 1]] <- c(
        d$problem[1], match(method, estimators) - 1, match(test, tests) - 1, start$lower,
        r$tau2 * unit^2, r$I2, r$H2, r$QE, r$QEp, r$QM, r$QMp,
        padded(r$b * unit), padded(r$se * unit), padded(r$zval), padded(r$pval)
      )
    }
  }
}
table <- as.data.frame(do.call(rbind, lines))
each <- function(name) paste0(name, seq_len(n_coefficients) - 1)
names(table) <- c("problem", "estimator", "test", "lower", "tau2", "i_squared", "h_squared", "q",
                  "q_p", "joint", "joint_p", each("b"), each("se"), each("stat"), each("p"))
table[] <- lapply(table, function(x) sprintf("%.17g", x))
write.csv(table, arguments[2], row.names = FALSE, quote = FALSE)
cat(R.version.string, ", metafor ", as.character(packageVersion("metafor")), "\n", sep = "")
