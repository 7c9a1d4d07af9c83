"""What the rules of stage metrics ask of the cohort, the configuration and each other."""


def unit_checks(wildcards):
    kinds = [kind for kind in ("T1w", "T2w", "FLAIR", "dwi") if kind in scan_of(wildcards).files]
    return [unit_path("inputs", f"{kind}.json").format(**wildcards) for kind in kinds]


def unit_facts(wildcards):
    """The facts of every branch that this unit's images allow."""
    files = scan_of(wildcards).files
    found = []
    if "T1w" in files:
        anat = (rules.anat_preproc, rules.anat_register, rules.anat_segment)
        found += [rule.output.facts for rule in anat]
        if config["epvs"]["engine"] != "none":
            found += [rules.epvs_prepare.output.facts, rules.epvs_regions.output.facts]
            found += [rules.epvs_census.output.facts]
            align = rules.epvs_align.output.facts
            found += [align.replace("{kind}", kind) for kind in ("T2w", "FLAIR") if kind in files]
    if "dwi" in files:
        found += [rules.dwi_correct.output.facts, rules.dwi_tensor.output.facts]
        register = rules.dwi_register if "T1w" in files else rules.dwi_register_template
        found += [register.output.facts, rules.alps_index.output.facts]
        found += [rules.dwi_white_matter.output.facts]
    return [path.format(**wildcards) for path in found]


def corrections_of(wildcards):
    """Names of all that a rater corrected of a unit."""
    return [*scan_of(wildcards).corrected, *sorted(roi_corrections(wildcards))]


def agreement_of(wildcards):
    """The agreement of a unit with its raters, where there are any."""
    rated = scan_of(wildcards).unit in rated_units()
    return [unit_path("anat", "desc-agreement_epvs.json").format(**wildcards)] if rated else []
