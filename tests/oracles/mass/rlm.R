# SPDX-License-Identifier: BSD-3-Clause
# Fits robust regressions by MASS::rlm. Run in this folder, it writes data.csv and rlm.csv:
#   Rscript rlm.R
# data.csv: a row an image: design, x1, ... (beside the intercept), and y0, y1, ... (the voxels).
# rlm.csv: a row a design, function and voxel: coefficients, and the weight of each image.
#
# Of an intercept alone, rlm as it is has the scale of groupglm: all leverages are equal, so that they
# cancel. Of other designs, psi takes the leverages and the order statistics into account: rlm hands it
# the residuals over a scale of its own, which cancels too.
suppressMessages(library(MASS))
set.seed(7)
tuning <- c(huber = 1.345, bisquare = 4.685)
number <- function(x) sprintf("%.15g", x)

study <- function(name, n, p, voxels) {
  X <- matrix(rnorm(n * (p - 1)), n)
  if (p > 2) X[, 2] <- as.numeric(seq_len(n) <= n / 3)
  Y <- matrix(rt(n * voxels, 2) + 1, n)
  list(name = name, X = X, Y = Y)
}

own_psi <- function(h, p, kind) {
  k <- tuning[[kind]]
  function(u, deriv = 0, ...) {
    a <- abs(u) / sqrt(1 - h)
    a <- a / (median(sort(a)[p:length(a)]) / 0.6745)
    if (kind == "huber") pmin(1, k / a) else (1 - pmin(1, a / k)^2)^2
  }
}

fit <- function(y, X, kind) {
  x <- cbind(1, X)
  control <- list(x = x, y = y, init = "ls", maxit = 500, acc = 1e-13)
  if (ncol(x) == 1) {
    psi <- if (kind == "huber") psi.huber else psi.bisquare
    m <- do.call(rlm, c(control, list(psi = psi)))
  } else {
    m <- do.call(rlm, c(control, list(psi = own_psi(hat(x, intercept = FALSE), ncol(x), kind))))
  }
  if (!m$converged) stop("rlm has not converged")
  list(b = coef(m), w = m$w)
}

studies <- list(study("mean", 25, 1, 12), study("line", 30, 2, 12), study("groups", 24, 4, 12))
images <- NULL
results <- NULL
for (s in studies) {
  n <- nrow(s$Y)
  x <- matrix(NA, n, 3)
  if (ncol(s$X)) x[, seq_len(ncol(s$X))] <- s$X
  images <- rbind(images, cbind(s$name, matrix(number(cbind(x, s$Y)), n)))
  for (kind in names(tuning)) {
    for (v in seq_len(ncol(s$Y))) {
      m <- fit(as.numeric(number(s$Y[, v])), apply(s$X, c(1, 2), function(z) as.numeric(number(z))), kind)
      b <- rep(NA, 4)
      b[seq_along(m$b)] <- m$b
      w <- rep(NA, 30)
      w[seq_len(n)] <- m$w
      results <- rbind(results, c(s$name, kind, v - 1, number(b), number(w)))
    }
  }
}
colnames(images) <- c("study", paste0("x", 1:3), paste0("y", 0:11))
colnames(results) <- c("study", "weights", "voxel", paste0("b", 0:3), paste0("w", 0:29))
for (table in c("images", "results")) {
  file <- c(images = "data.csv", results = "rlm.csv")[[table]]
  write.csv(get(table), file, row.names = FALSE, quote = FALSE)
}
cat(R.version.string, "MASS", as.character(packageVersion("MASS")), "\n")
