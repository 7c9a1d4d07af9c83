"""What the rules of stage qc ask of the cohort, the configuration and each other."""


def unit_pictures(wildcards):
    """The images that this unit's page shows, by name."""
    files = scan_of(wildcards).files
    found = {}
    if "T1w" in files:
        found |= {
            "t1w": rules.anat_preproc.output.t1w,
            "mask": rules.anat_preproc.output.mask,
            "warped": rules.anat_register.output.warped,
        }
        if config["epvs"]["engine"] != "none":
            found |= {
                "t1w_1mm": rules.epvs_prepare.output.t1w,
                "t2w_1mm": rules.epvs_prepare.output.t2w,
                "regions_1mm": rules.epvs_regions.output.labels,
                "epvs": rules.epvs_census.output.labels,
                "epvs_not_counted": rules.epvs_census.output.not_counted,
            }
            if lesion_sources(wildcards):
                found["lesions"] = rules.epvs_census.output.lesions
            if lesion_sources(wildcards) and "FLAIR" in files:
                flair = aligned(wildcards, "FLAIR")
                found |= {"flair": flair["flair"], "flair_matrix": flair["matrix"]}
    if "dwi" in files:
        found |= {
            "b0": rules.dwi_correct.output.b0,
            "motion": rules.dwi_correct.output.motion,
            "fa": rules.dwi_tensor.output.fa,
            "v1": rules.dwi_tensor.output.v1,
            "regions": rules.alps_index.output.fixed,
            "regions_adaptive": rules.alps_index.output.adaptive,
        }
    if "T1w" in files and "dwi" in files:
        found["dwi_to_t1w"] = rules.dwi_register.output.facts
    return of_unit(wildcards, **found)
