"""Stage qc: one self-contained page per subject-session."""
