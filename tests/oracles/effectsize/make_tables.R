# SPDX-License-Identifier: BSD-3-Clause
# Effect sizes and their intervals by R's effectsize, of data that are in the table too:
#   cd tests/oracles/effectsize && Rscript make_tables.R
# images.csv: a row an image: its group, a covariate, and the voxels y0, y1, ...
# differences.csv: a row a voxel and case: d, g and their bounds; cases "one", "pooled", "welch".
# statistics.csv: a row a statistic: t or F, degrees of freedom, r or partial eta squared, bounds.
suppressMessages(library(effectsize))
set.seed(20)
n <- c(12, 19)
group <- rep(c("a", "b"), n)
images <- data.frame(group = group, age = round(runif(sum(n), 20, 70)))
for (v in 0:7) {
  shift <- c(0, 0.1, 0.3, 0.6, 1, 2, 4, -1.5)[v + 1]
  images[[paste0("y", v)]] <- rnorm(sum(n)) * ifelse(group == "a", 1 + v / 4, 1) +
    shift * (group == "a") + shift / 3
}
rows <- list()
for (v in 0:7) {
  y <- images[[paste0("y", v)]]
  a <- y[group == "a"]
  b <- y[group == "b"]
  for (level in c(0.95, 0.8)) {
    found <- list(
      one = list(cohens_d(y, ci = level), hedges_g(y, ci = level)),
      pooled = list(cohens_d(a, b, ci = level), hedges_g(a, b, ci = level)),
      welch = list(cohens_d(a, b, pooled_sd = FALSE, ci = level),
                   hedges_g(a, b, pooled_sd = FALSE, ci = level))
    )
    for (case in names(found)) {
      d <- found[[case]][[1]]
      g <- found[[case]][[2]]
      rows[[length(rows) + 1]] <- data.frame(
        voxel = v, case = case, level = level, d = d$Cohens_d, d_low = d$CI_low,
        d_high = d$CI_high, g = g$Hedges_g, g_low = g$CI_low, g_high = g$CI_high
      )
    }
  }
}
digits <- function(table) {
  numbers <- sapply(table, is.numeric)
  table[numbers] <- lapply(table[numbers], function(x) sprintf("%.15g", x))
  table
}
save <- function(table, path) write.csv(digits(table), path, row.names = FALSE, quote = FALSE)
save(images, "images.csv")
save(do.call(rbind, rows), "differences.csv")

cases <- list()
for (df in c(2, 7, 29, 300)) {
  for (t in c(-6, -1.2, 0, 0.4, 2.5, 9)) {
    r <- t_to_r(t, df, ci = 0.95)
    cases[[length(cases) + 1]] <- data.frame(
      statistic = "t", value = t, df1 = 1, df2 = df, size = r$r, low = r$CI_low, high = r$CI_high
    )
  }
  for (df1 in c(1, 3, 8)) {
    for (f in c(0.3, 1.7, 4, 25)) {
      eta <- F_to_eta2(f, df1, df, ci = 0.95, alternative = "two.sided")
      cases[[length(cases) + 1]] <- data.frame(
        statistic = "F", value = f, df1 = df1, df2 = df, size = eta$Eta2_partial,
        low = eta$CI_low, high = eta$CI_high
      )
    }
  }
}
save(do.call(rbind, cases), "statistics.csv")
cat(R.version.string, "effectsize", as.character(packageVersion("effectsize")), "\n")
