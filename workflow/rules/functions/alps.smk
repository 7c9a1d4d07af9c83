"""What the rules of stage alps ask of the cohort, the configuration and each other."""


def user_regions():
    """The masks of alps.user_rois."""
    return [roi["mask"] for roi in (config["alps"]["user_rois"] or {}).values() if "mask" in roi]


def roi_corrections(wildcards):
    """What a rater corrected of a unit's ALPS regions."""
    return ROI_CORRECTIONS.get(wildcards.prefix, {})


def corrected_roi_masks(wildcards):
    return [c["mask"] for c in roi_corrections(wildcards).values() if "mask" in c]
