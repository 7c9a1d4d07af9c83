# Expected values of tests/stats/test_models_against_r.py: Rscript make_models.R > models.tsv
# Needs Debian's r-base-core, r-cran-car, r-cran-emmeans, r-cran-proc, r-cran-mass, r-cran-pwr, r-cran-nlme. The call stands beside.
suppressMessages({library(car); library(emmeans); library(pROC)
  library(MASS); library(pwr); library(nlme)})
options(digits = 15)
out <- function(data, what, value, call)
  cat(data, what, sprintf("%.15g", value), call, sep = "\t", fill = FALSE, "\n")
cat("data\tquantity\tvalue\tr_call\n")
covariates <- list(ties = c("age", "sex"), unbalanced = c("age", "sex", "site"),
                   missing = c("age", "sex", "site"))
middle <- function(x, y) if (median(x) != median(y)) median(x) > median(y) else mean(x) > mean(y)
for (name in names(covariates)) {
  d <- read.csv(paste0(name, ".csv"), stringsAsFactors = TRUE)
  used <- covariates[[name]]

  # single metrics
  for (pair in combn(levels(d$group), 2, simplify = FALSE)) {
    k <- paste(pair, collapse = " ")
    v <- d[d$group %in% pair & !is.na(d$value), ]
    way <- function(v, x) if (middle(v[v$group == pair[2], x], v[v$group == pair[1], x])) "<" else ">"
    curve <- function(v, x) roc(v$group, v[[x]], levels = pair, direction = way(v, x), quiet = TRUE)
    r <- curve(v, "value")
    i <- ci.auc(r, method = "delong")
    out(name, paste("auc", k), as.numeric(r$auc), "roc(group, value, levels, direction)")
    out(name, paste("auc_low", k), i[1], "ci.auc(roc, method = 'delong')")
    out(name, paste("auc_high", k), i[3], "ci.auc(roc, method = 'delong')")
    z <- (as.numeric(r$auc) - 0.5) / sqrt(var(r, method = "delong"))
    out(name, paste("auc_z", k), z, "(auc - 0.5) / sqrt(var(roc, method = 'delong'))")
    b <- coords(r, "best", best.method = "youden", ret = c("threshold", "sensitivity", "specificity"))
    b <- b[order(-b$sensitivity), ][1, ]
    out(name, paste("cut", k), b$threshold, "coords(roc, 'best', best.method = 'youden')")
    out(name, paste("sensitivity", k), b$sensitivity, "the same, the most sensitive of equals")
    out(name, paste("specificity", k), b$specificity, "the same")
    both <- v[!is.na(v$score), ]
    t <- roc.test(curve(both, "value"), curve(both, "score"), method = "delong", paired = TRUE)
    out(name, paste("delong_z", k), t$statistic, "roc.test(roc1, roc2, method = 'delong', paired = TRUE)")
    out(name, paste("delong_p", k), t$p.value, "roc.test(roc1, roc2, method = 'delong', paired = TRUE)")
  }

  # nested models
  c <- d[complete.cases(d[c("value", "score", used)]), ]
  c$x <- as.numeric(scale(c$value)); c$y <- as.numeric(scale(c$score))
  rest <- paste(used, collapse = " + ")
  formulas <- c("y ~ x", paste("y ~ x +", rest), paste("y ~ x +", rest, "+ group"))
  for (i in 1:3) {
    m <- lm(as.formula(formulas[i]), c)
    s <- summary(m)
    f <- paste0("lm(", formulas[i], ")")
    out(name, paste("beta", i), s$coefficients["x", 1], f)
    out(name, paste("beta_low", i), confint(m)["x", 1], paste0("confint(", f, ")"))
    out(name, paste("beta_p", i), s$coefficients["x", 4], paste0("summary(", f, ")"))
    out(name, paste("r2", i), s$r.squared, paste0("summary(", f, ")$r.squared"))
    inflation <- if (i == 1) 1 else { v <- vif(m); if (is.matrix(v)) v["x", "GVIF"] else v["x"] }
    out(name, paste("vif", i), inflation, paste0("vif(", f, ")"))
    cook <- cooks.distance(m)
    far <- cook > 4 / nrow(c)
    out(name, paste("cook_max", i), max(cook), paste0("max(cooks.distance(", f, "))"))
    out(name, paste("influential", i), sum(far), "sum(cooks.distance > 4 / n)")
    if (any(far)) out(name, paste("beta_without", i), coef(lm(formula(m), c[!far, ]))["x"],
                      "the coefficient without these")
  }

  # moderation, by the groups and by age
  m <- lm(as.formula(paste("y ~ x * group +", rest)), c)
  h <- anova(update(m, . ~ . - x:group), m)
  out(name, "group_f", h$F[2], "anova(y ~ x + group + ..., y ~ x * group + ...)")
  out(name, "group_p", h$`Pr(>F)`[2], "the same")
  e <- summary(emtrends(m, "group", var = "x"), infer = c(TRUE, TRUE))
  for (i in seq_len(nrow(e))) {
    out(name, paste("slope", e$group[i]), e$x.trend[i], "emtrends(m, 'group', var = 'x')")
    out(name, paste("slope_low", e$group[i]), e$lower.CL[i], "emtrends(m, 'group', var = 'x')")
    out(name, paste("slope_p", e$group[i]), e$p.value[i], "emtrends(m, 'group', var = 'x')")
  }
  c$old <- as.numeric(scale(c$age))
  others <- paste(setdiff(used, "age"), collapse = " + ")
  m <- lm(as.formula(paste("y ~ x * old +", others)), c)
  h <- anova(update(m, . ~ . - x:old), m)
  out(name, "age_f", h$F[2], "anova(y ~ x + age + ..., y ~ x * age + ...)")
  e <- summary(emtrends(m, "old", var = "x", at = list(old = c(-1, 0, 1))), infer = c(TRUE, TRUE))
  for (i in 1:3) {
    at <- c("mean - 1 SD", "mean", "mean + 1 SD")[i]
    out(name, paste("age_slope", at), e$x.trend[i], "emtrends(m, 'age', var = 'x', at)")
    out(name, paste("age_slope_low", at), e$lower.CL[i], "emtrends(m, 'age', var = 'x', at)")
  }

  # mediation: age through value to score
  others <- setdiff(used, "age")
  fa <- as.formula(paste("x ~ old +", paste(others, collapse = " + ")))
  fb <- as.formula(paste("y ~ old + x +", paste(others, collapse = " + ")))
  ft <- as.formula(paste("y ~ old +", paste(others, collapse = " + ")))
  a <- coef(lm(fa, c))["old"]; b <- coef(lm(fb, c))["x"]
  out(name, "path a", a, "lm(value ~ age + ...)")
  out(name, "path b", b, "lm(score ~ age + value + ...)")
  out(name, "path total", coef(lm(ft, c))["old"], "lm(score ~ age + ...)")
  out(name, "path direct", coef(lm(fb, c))["old"], "lm(score ~ age + value + ...)")
  out(name, "path indirect", a * b, "a * b")
}

# counts
d <- read.csv("counts.csv", stringsAsFactors = TRUE)
d <- d[complete.cases(d), ]
f <- "glm(epvs_total_count ~ age + sex + group, negative.binomial(theta)), theta of theta.mm"
m <- glm(epvs_total_count ~ age + sex + group, poisson, d, control = glm.control(1e-12, 200))
for (turn in 1:200) {
  theta <- theta.mm(m, eps = 1e-12, limit = 100)
  m <- glm(epvs_total_count ~ age + sex + group, negative.binomial(theta), d,
           control = glm.control(1e-12, 200))
}
s <- summary(m, dispersion = 1)$coefficients
for (g in c("B", "C")) {
  k <- paste0("group", g)
  out("counts", paste("rate_ratio", g), exp(s[k, 1]), f)
  out("counts", paste("t", g), s[k, 1] / s[k, 2], f)
  out("counts", paste("p", g), 2 * pt(-abs(s[k, 1] / s[k, 2]), df.residual(m)), "pt of that t")
}
out("counts", "dispersion", 1 / theta, paste0("1 / theta of ", f))
b <- coef(m)[c("groupB", "groupC")]; v <- summary(m, dispersion = 1)$cov.scaled[names(b), names(b)]
out("counts", "p_groups", pf(drop(b %*% solve(v, b)) / 2, 2, df.residual(m), lower.tail = FALSE),
    "Wald F of both groups")
out("counts", "zeros_expected", sum(dnbinom(0, size = theta, mu = fitted(m))), "sum(dnbinom(0))")
d$even <- floor(d$age / 10) + 3 * (d$group == "C")
p <- glm(even ~ age + sex + group, poisson, d, control = glm.control(1e-12, 200))
out("counts", "poisson C", coef(p)["groupC"], "glm(even ~ age + sex + group, poisson)")

# power and equivalence
for (n in list(c(32, 24), c(9, 41))) {
  k <- paste(n, collapse = " ")
  out("power", paste("detectable", k), pwr.t2n.test(n[1], n[2], sig.level = 0.05 / 3, power = 0.8)$d,
      "pwr.t2n.test(n1, n2, sig.level = 0.05 / 3, power = 0.8)")
}
d <- read.csv("unbalanced.csv", stringsAsFactors = TRUE)
m <- lm(value ~ group + age + sex + site, d)
e <- emmeans(m, "group", weights = "equal")
s <- summary(pairs(e, adjust = "none"), infer = c(TRUE, TRUE), side = "equivalence",
             delta = 0.5 * sigma(m))
for (i in seq_len(nrow(s)))
  out("power", paste("equivalence", gsub(" - ", " ", s$contrast[i])), s$p.value[i],
      "summary(pairs(emmeans), side = 'equivalence', delta = 0.5 * sigma(m))")

# several sessions
d <- read.csv("sessions.csv", stringsAsFactors = TRUE)
d$group <- relevel(d$group, "NC")
m <- lme(value ~ age + sex + site + group * years, random = ~ 1 | participant_id, d,
         control = lmeControl(tolerance = 1e-12, msTol = 1e-12))
f <- "lme(value ~ age + sex + site + group * years, random = ~ 1 | participant_id)"
b <- fixef(m); v <- m$varFix
both <- c("years", "groupAD:years")
out("sessions", "year", b["years"], f)
out("sessions", "AD vs NC", b["groupAD"], f)
out("sessions", "year x AD vs NC", b["groupAD:years"], f)
out("sessions", "year in AD", sum(b[both]), f)
out("sessions", "year z", b["years"] / sqrt(v["years", "years"]), f)
out("sessions", "year in AD z", sum(b[both]) / sqrt(sum(v[both, both])), f)
