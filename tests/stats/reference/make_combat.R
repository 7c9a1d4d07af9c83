# Expected values of tests/stats/test_combat_against_r.py: Rscript make_combat.R
# Needs Debian's r-bioc-sva. Writes what ComBat makes of sites.csv into combat.csv.
suppressMessages(library(sva))
d <- read.csv("sites.csv", stringsAsFactors = TRUE)
metrics <- grep("^m", names(d), value = TRUE)
found <- suppressMessages(ComBat(t(as.matrix(d[metrics])), batch = d$site,
                                 mod = model.matrix(~ age + group, d)))
write.csv(format(t(found), digits = 15), "combat.csv", row.names = FALSE, quote = FALSE)
