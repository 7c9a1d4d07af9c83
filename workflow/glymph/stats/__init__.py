"""Stage stats: the cohort's analyses, from one table of metrics to tidy tables of results.

Everything here works on plain arrays and data frames; images are not needed.
"""
