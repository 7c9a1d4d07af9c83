"""Stage metrics: one record per subject-session, one table per cohort, and who is missing."""
