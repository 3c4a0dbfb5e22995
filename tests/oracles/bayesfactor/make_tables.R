# SPDX-License-Identifier: BSD-3-Clause
# Bayes factors by R's BayesFactor:
#   cd tests/oracles/bayesfactor && Rscript make_tables.R
# tests.csv: a row a t test of n1 (and n2) images: t, scale of the prior, log of the Bayes factor,
# and R's estimate of its relative error.
# regressions.csv: a row a regression of N images on p covariates: R squared, scale, log.
# data.csv: images of two groups with two covariates; from_data.csv: logs of ttestBF of the mean,
# ttestBF of the groups, meta.ttestBF of the mean, and regressionBF of both covariates and of one.
suppressMessages(library(BayesFactor))
set.seed(20)
digits <- function(table) {
  numbers <- sapply(table, is.numeric)
  table[numbers] <- lapply(table[numbers], function(x) sprintf("%.15g", x))
  table
}
save <- function(table, path) write.csv(digits(table), path, row.names = FALSE, quote = FALSE)
log_of <- function(found) as.vector(found@bayesFactor$bf)

rows <- list()
for (n1 in c(3, 8, 30, 200)) {
  for (n2 in c(0, 5, 40)) {
    for (t in c(0, 0.5, 1.9, -3.2, 7, 15)) {
      for (scale in c(sqrt(2) / 2, 1, 0.2)) {
        found <- ttest.tstat(t, n1, n2, rscale = scale)
        rows[[length(rows) + 1]] <- data.frame(
          n1 = n1, n2 = n2, t = t, scale = scale, log = found$bf, error = found$properror
        )
      }
    }
  }
}
save(do.call(rbind, rows), "tests.csv")
rows <- list()
for (N in c(12, 30, 400)) {
  for (p in c(1, 2, 6)) {
    for (r2 in c(0, 0.05, 0.4, 0.9)) {
      for (scale in c(sqrt(2) / 4, 1)) {
        found <- linearReg.R2stat(N, p, r2, rscale = scale)
        rows[[length(rows) + 1]] <- data.frame(
          N = N, p = p, r2 = r2, scale = scale, log = found$bf, error = found$properror
        )
      }
    }
  }
}
save(do.call(rbind, rows), "regressions.csv")

n <- c(14, 10)
data <- data.frame(group = rep(c(1, 0), n), age = rnorm(24), score = rnorm(24))
rows <- list()
for (v in 0:5) {
  y <- rnorm(24) + c(0, 0.2, 0.5, 1, 2, 0.3)[v + 1] * data$group + c(0, 0, 0.3, 0.6, 0, 1)[v + 1] * data$age
  data[[paste0("y", v)]] <- y
  own <- data.frame(y = y, age = data$age, score = data$score)
  rows[[v + 1]] <- data.frame(
    voxel = v,
    mean = log_of(ttestBF(y)),
    groups = log_of(ttestBF(y[data$group == 1], y[data$group == 0])),
    meta = log_of(meta.ttestBF(mean(y) / sd(y) * sqrt(24), n1 = 24)),
    both = log_of(lmBF(y ~ age + score, own)),
    age = log_of(lmBF(y ~ age, own))
  )
}
save(data, "data.csv")
save(do.call(rbind, rows), "from_data.csv")
cat(R.version.string, "BayesFactor", as.character(packageVersion("BayesFactor")), "\n")
