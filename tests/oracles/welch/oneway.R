# SPDX-License-Identifier: BSD-3-Clause
# Welch's analysis of variance of data sets that R brings along, by R's own oneway.test and t.test.
#
#     Rscript tests/oracles/welch/oneway.R > tests/oracles/welch/oneway.csv

number <- function(x) paste(sprintf("%.17g", x), collapse = " ")
text <- function(x) paste(as.character(x), collapse = " ")

sets <- list(
  PlantGrowth = PlantGrowth[c("weight", "group")],
  chickwts = chickwts[c("weight", "feed")],
  InsectSprays = InsectSprays[c("count", "spray")],
  iris = iris[c("Sepal.Length", "Species")],
  ToothGrowth = ToothGrowth[c("len", "dose")],
  sleep = sleep[c("extra", "group")],
  warpbreaks = warpbreaks[c("breaks", "tension")]
)
cat("name,value,group,statistic,df_numerator,df_denominator,p\n")
for (name in names(sets)) {
  data <- setNames(sets[[name]], c("value", "group"))
  data$group <- factor(data$group)
  test <- oneway.test(value ~ group, data, var.equal = FALSE)
  cat(name, number(data$value), text(data$group), number(test$statistic),
      number(test$parameter[1]), number(test$parameter[2]), number(test$p.value), sep = ",")
  cat("\n")
}
