# SPDX-License-Identifier: BSD-3-Clause
# Fits random intercepts by lme4, lmerTest, pbkrtest and nlme. make_tables.py beside it runs it:
#   Rscript fit_problems.R images.csv results.csv subject
#   Rscript fit_problems.R images.csv results.csv family/subject
# images.csv: a row an image: subject, family if subjects lie in such, x0, x1, ... (the design, x0 the
# intercept), y0, y1, ... (the voxels; an NA is a missing value). results.csv: a row a voxel.
# Joint contrasts: of all columns but the first ("all"), and of the last two ("two").
#
# The restricted likelihood can have two maxima. Several starts are tried, and the best end is in the
# table. lme4's optimisers stop where the criterion changes by less than rounding, which is half the
# digits of the variances: Newton's steps by numerical derivatives go on from there.

suppressMessages({
  library(lme4)
  library(lmerTest)
  library(pbkrtest)
})
arguments <- commandArgs(trailingOnly = TRUE)
data <- read.csv(arguments[1])
random <- arguments[3]
data$subject <- factor(data$subject)
if ("family" %in% names(data)) data$family <- factor(data$family)
columns <- grep("^x[0-9]+$", names(data), value = TRUE)
voxels <- grep("^y[0-9]+$", names(data), value = TRUE)
p <- length(columns)
fixed <- paste(c("1", columns[-1]), collapse = " + ")

tight <- function(fn, par, lower, upper, control) {
  best <- NULL
  starts <- c(0.02, 0.2, 1, 5, 25)
  grid <- as.matrix(do.call(expand.grid, rep(list(starts), length(par))))
  for (i in seq_len(nrow(grid))) {
    end <- minqa::bobyqa(grid[i, ], fn, lower, upper, control = list(rhobeg = 0.01, rhoend = 1e-9))
    if (is.null(best) || end$fval < best$fval - 1e-9) best <- end
  }
  at <- best$par
  at[at < 1e-5] <- 0
  free <- which(at > 0)
  part <- function(x) fn(replace(at, free, x))
  for (step in seq_len(3 * (length(free) > 0))) {
    slope <- numDeriv::grad(part, at[free])
    at[free] <- at[free] - solve(numDeriv::hessian(part, at[free]), slope)
  }
  value <- fn(at)
  if (value > best$fval + 1e-8) stop("Newton's steps went astray")
  list(par = at, fval = value, feval = 1L, conv = 0L, message = "")
}

second_opinion <- function(d) {
  control <- nlme::lmeControl(maxIter = 500, msMaxIter = 500, tolerance = 1e-12, msTol = 1e-14,
                              opt = "nlminb", niterEM = 50)
  tryCatch({
    m <- nlme::lme(as.formula(paste("y ~", fixed)), data = d,
                   random = as.formula(paste("~ 1 |", random)), control = control)
    c(-2 * as.numeric(logLik(m)), nlme::fixef(m))
  }, error = function(problem) rep(NA, 1 + p))
}

joint <- function(m, L, at) {
  kr <- KRmodcomp(m, L)$test["Ftest", ]
  satterthwaite <- contest(m, L, joint = TRUE, ddf = "Satterthwaite")
  found <- c(kr$stat, kr$ddf, kr$F.scaling, kr$p.value,
             satterthwaite[["F value"]], satterthwaite$DenDF, satterthwaite[["Pr(>F)"]])
  names(found) <- paste0(at, c("_kr_f", "_kr_df", "_kr_scale", "_kr_p", "_st_f", "_st_df", "_st_p"))
  found
}

fit <- function(name) {
  d <- data[!is.na(data[[name]]), ]
  d$y <- d[[name]]
  formula <- as.formula(paste0("y ~ ", fixed, " + (1 | ", random, ")"))
  m <- suppressMessages(lmer(formula, d, control = lmerControl(
    optimizer = tight, calc.derivs = FALSE, check.conv.grad = "ignore")))
  variances <- as.data.frame(VarCorr(m))
  pick <- function(start) variances$vcov[startsWith(variances$grp, start)][1]
  each <- function(name, values) setNames(values, paste0(name, seq_len(p) - 1))
  rows <- lapply(c("Kenward-Roger", "Satterthwaite"),
                 function(ddf) contest(m, diag(p), joint = FALSE, ddf = ddf))
  other <- second_opinion(d)
  last <- if (p > 2) diag(p)[(p - 1):p, , drop = FALSE] else diag(p)
  c(criterion = REMLcrit(m), subject = pick("subject"), family = pick("family"),
    residual = pick("Residual"), nlme_criterion = other[[1]], each("nlme_b", other[-1]),
    each("b", fixef(m)),
    each("kr_se", rows[[1]][["Std. Error"]]), each("kr_df", rows[[1]]$df),
    each("kr_p", rows[[1]][["Pr(>|t|)"]]),
    each("st_se", rows[[2]][["Std. Error"]]), each("st_df", rows[[2]]$df),
    each("st_p", rows[[2]][["Pr(>|t|)"]]),
    if (p > 1) joint(m, diag(p)[-1, , drop = FALSE], "all"), if (p > 2) joint(m, last, "two"))
}

table <- as.data.frame(do.call(rbind, lapply(voxels, fit)))
table[] <- lapply(table, function(x) sprintf("%.13g", x))
write.csv(table, arguments[2], row.names = FALSE, quote = FALSE)
versions <- vapply(c("lme4", "lmerTest", "pbkrtest", "nlme"),
                   function(name) paste(name, packageVersion(name)), "")
cat(R.version.string, ", ", paste(versions, collapse = ", "), "\n", sep = "")
