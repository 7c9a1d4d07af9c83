"""What the rules of stage dwi ask of the cohort, the configuration and each other."""


def opposite_images(wildcards):
    """Images that may have the opposite phase encoding."""
    return list(scan_of(wildcards).reverse)


def diffusion_files(wildcards):
    """Every source of a unit's diffusion stage."""
    own = source_file("dwi", "bval", "bvec", "json")(wildcards)
    return [*own, *opposite_images(wildcards), *diffusion_sidecars(wildcards)]


def correction_settings():
    """The keys of `dwi` that the correction reads; it registers for one way of undistorting only."""
    unread = {"tensor"} if config["dwi"]["distortion"] == "t1w" else {"tensor", "register"}
    return {key: value for key, value in config["dwi"].items() if key not in unread}


def t1w_brain(wildcards):
    """The T1w and its brain mask, where the distortion correction wants them and they exist."""
    if config["dwi"]["distortion"] != "t1w" or "T1w" not in scan_of(wildcards).files:
        return []
    brain = rules.anat_preproc.output
    return list(of_unit(wildcards, t1w=brain.t1w, mask=brain.mask).values())


def template_transforms(wildcards):
    """The files that lead from the DWI to the template: through the T1w, or b0's own."""
    if "T1w" in scan_of(wildcards).files:
        found = {
            "to_t1w": rules.dwi_register.output.affine,
            "affine": rules.anat_register.output.affine,
            "warp": rules.anat_register.output.warp,
            "inverse_warp": rules.anat_register.output.inverse_warp,
        }
    else:
        found = {
            name: rules.dwi_register_template.output[name]
            for name in ("affine", "warp", "inverse_warp")
        }
    return of_unit(wildcards, **found)


def white_matter(wildcards):
    """The unit's white matter, where it has a T1w, and its lesions, where they were sought."""
    if "T1w" not in scan_of(wildcards).files:
        return {}
    found = {"wm": rules.anat_segment.output.wm}
    if config["epvs"]["engine"] != "none":
        found["lesions"] = rules.epvs_census.output.lesions
    return of_unit(wildcards, **found)
