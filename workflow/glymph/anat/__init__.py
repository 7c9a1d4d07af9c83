"""Stage anat: bias field, brain mask, template registration, tissue volumes."""
