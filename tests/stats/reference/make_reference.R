# Expected values of tests/stats/test_against_r.py: Rscript make_reference.R > expected.tsv
# Needs Debian's r-base-core, r-cran-car, r-cran-emmeans. The call stands beside every value.
suppressMessages({library(car); library(emmeans)})
options(contrasts = c("contr.sum", "contr.poly"), digits = 15)
out <- function(data, what, value, call)
  cat(data, what, sprintf("%.15g", value), call, sep = "\t", fill = FALSE, "\n")
cat("data\tquantity\tvalue\tr_call\n")
covariates <- list(ties = c("age", "sex"), unbalanced = c("age", "sex", "site"),
                   missing = c("age", "sex", "site"))
for (name in names(covariates)) {
  d <- read.csv(paste0(name, ".csv"), stringsAsFactors = TRUE)
  used <- covariates[[name]]
  f <- as.formula(paste("value ~ group +", paste(used, collapse = " + ")))
  fc <- paste(deparse(f), collapse = "")
  m <- lm(f, d)
  a <- Anova(m, type = 2)
  out(name, "ancova_f", a["group", "F value"], paste0("Anova(lm(", fc, ", d), type = 2)"))
  out(name, "ancova_p", a["group", "Pr(>F)"], paste0("Anova(lm(", fc, ", d), type = 2)"))
  out(name, "ancova_df2", a["Residuals", "Df"], paste0("Anova(lm(", fc, ", d), type = 2)"))
  e <- emmeans(m, "group", weights = "equal")
  s <- summary(e)
  for (i in seq_len(nrow(s))) {
    out(name, paste0("adjusted_mean ", s$group[i]), s$emmean[i], "emmeans(m, 'group')")
    out(name, paste0("adjusted_se ", s$group[i]), s$SE[i], "emmeans(m, 'group')")
  }
  p <- summary(pairs(e, adjust = "bonferroni"), infer = c(TRUE, TRUE))
  q <- summary(pairs(e, adjust = "none"), infer = c(TRUE, TRUE))
  for (i in seq_len(nrow(p))) {
    k <- gsub(" - ", " ", p$contrast[i])
    out(name, paste("contrast", k), p$estimate[i], "pairs(emmeans(m, 'group'))")
    out(name, paste("contrast_t", k), p$t.ratio[i], "pairs(emmeans(m, 'group'))")
    out(name, paste("contrast_p", k), q$p.value[i], "pairs(emmeans(m, 'group'), adjust = 'none')")
    out(name, paste("contrast_low", k), q$lower.CL[i], "pairs(emmeans(m, 'group'), adjust = 'none')")
    out(name, paste("contrast_bonferroni", k), p$p.value[i],
        "pairs(emmeans(m, 'group'), adjust = 'bonferroni')")
  }
  out(name, "shapiro_residuals_p", shapiro.test(resid(m))$p.value, "shapiro.test(resid(m))")
  g <- model.frame(m)$group
  l <- leveneTest(resid(m), g, center = median)
  out(name, "levene_p", l[1, "Pr(>F)"], "leveneTest(resid(m), group, center = median)")
  numeric <- used[sapply(d[used], is.numeric)]
  m2 <- update(m, as.formula(paste(". ~ . +", paste0("group:", numeric, collapse = " + "))))
  h <- anova(m, m2)
  out(name, "slopes_f", h$F[2], "anova(m, update(m, . ~ . + group:age))")
  out(name, "slopes_p", h$`Pr(>F)`[2], "anova(m, update(m, . ~ . + group:age))")
  o <- anova(lm(value ~ group, d))
  out(name, "anova_f", o["group", "F value"], "anova(lm(value ~ group, d))")
  out(name, "anova_p", o["group", "Pr(>F)"], "anova(lm(value ~ group, d))")
  k <- kruskal.test(value ~ group, d)
  out(name, "kruskal_h", k$statistic, "kruskal.test(value ~ group, d)")
  out(name, "kruskal_p", k$p.value, "kruskal.test(value ~ group, d)")
  # Dunn's z as dunn.test and FSA::dunnTest define it, from R's own ranks.
  v <- d[!is.na(d$value), ]
  r <- rank(v$value); n <- nrow(v); t <- table(v$value)
  s2 <- n * (n + 1) / 12 - sum(t^3 - t) / (12 * (n - 1))
  means <- tapply(r, v$group, mean); sizes <- table(v$group)
  for (pair in combn(levels(v$group), 2, simplify = FALSE)) {
    z <- (means[pair[1]] - means[pair[2]]) /
      sqrt(s2 * (1 / sizes[pair[1]] + 1 / sizes[pair[2]]))
    k <- paste(pair, collapse = " ")
    out(name, paste("dunn_z", k), z, "rank(value); Dunn 1964 with ties")
    out(name, paste("dunn_p", k), 2 * pnorm(-abs(z)), "2 * pnorm(-abs(z))")
  }
  x <- chisq.test(table(d$sex, d$group), correct = FALSE)
  out(name, "chi2", x$statistic, "chisq.test(table(sex, group), correct = FALSE)")
  out(name, "chi2_p", x$p.value, "chisq.test(table(sex, group), correct = FALSE)")
  out(name, "fisher_p", fisher.test(table(d$sex, d$group), workspace = 2e7)$p.value,
      "fisher.test(table(sex, group))")
  c <- d[complete.cases(d[c("value", "score", used)]), ]
  z <- paste(used, collapse = " + ")
  rx <- resid(lm(as.formula(paste("value ~", z)), c))
  ry <- resid(lm(as.formula(paste("score ~", z)), c))
  out(name, "partial_r", cor(rx, ry), paste0("cor(resid(lm(value ~ ", z, ")), resid(lm(score ~ ", z, ")))"))
  full <- lm(as.formula(paste("score ~ value +", z)), c)
  out(name, "partial_p", summary(full)$coefficients["value", 4],
      paste0("summary(lm(score ~ value + ", z, "))$coefficients['value', 4]"))
  out(name, "partial_df", full$df.residual, "df.residual")
  rk <- c; for (i in c("value", "score", numeric)) rk[[i]] <- rank(rk[[i]])
  rx <- resid(lm(as.formula(paste("value ~", z)), rk))
  ry <- resid(lm(as.formula(paste("score ~", z)), rk))
  out(name, "partial_spearman", cor(rx, ry), "the same of rank(value), rank(score), rank(age)")
  s <- cor.test(~ value + score, d, method = "spearman", exact = FALSE)
  out(name, "spearman", s$estimate, "cor.test(value, score, method = 'spearman', exact = FALSE)")
  out(name, "spearman_p", s$p.value, "cor.test(value, score, method = 'spearman', exact = FALSE)")
}
