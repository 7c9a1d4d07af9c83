"""Stage alps: the ALPS index in three axis versions, with the quality of its regions.

INPUTS:  <unit>/dwi/*_dwimap.nii.gz and the transforms of stages dwi and anat
OUTPUTS: <unit>/dwi/*_desc-alps_dwi.json         all ALPS metrics
         <unit>/dwi/*_desc-alps_probseg.nii.gz   share of each voxel that each region covers
"""


def template_transforms(wildcards):
    """The files that lead from the DWI to the template: through the T1w, or FA's own."""
    if "T1w" in scan_of(wildcards).files:
        found = {
            "to_t1w": rules.dwi_register.output.affine,
            "affine": rules.anat_register.output.affine,
            "warp": rules.anat_register.output.warp,
            "inverse_warp": rules.anat_register.output.inverse_warp,
        }
    else:
        found = {
            name: rules.dwi_register_fa.output[name] for name in ("affine", "warp", "inverse_warp")
        }
    return {name: path.format(**wildcards) for name, path in found.items()}


rule alps_index:
    """Carry the four regions to the DWI and compute ALPS."""
    input:
        unpack(template_transforms),
        fa=rules.dwi_tensor.output.fa,
        md=rules.dwi_tensor.output.md,
        v1=rules.dwi_tensor.output.v1,
        tensor=rules.dwi_tensor.output.tensor,
        masks=[roi["mask"] for roi in (config["alps"]["user_rois"] or {}).values() if "mask" in roi],
    output:
        facts=unit_path("dwi", "desc-alps_dwi.json"),
        regions=unit_path("dwi", "desc-alps_probseg.nii.gz"),
        regions_json=unit_path("dwi", "desc-alps_probseg.json"),
    log:
        unit_log("alps_index"),
    benchmark:
        unit_benchmark("alps_index")
    params:
        settings=config["alps"],
        code=code("alps/index.py"),
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    conda:
        env("dwi")
    message:
        "Compute ALPS of {wildcards.prefix}"
    script:
        "../scripts/alps/index.py"
