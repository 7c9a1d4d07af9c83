"""Stage alps: the ALPS index in all its versions, with the quality of its regions.

INPUTS:  <unit>/dwi/*_dwimap.nii.gz and the transforms of stages dwi and anat
OUTPUTS: <unit>/dwi/*_desc-alps_dwi.json         all ALPS metrics
         <unit>/dwi/*_desc-alps_probseg.nii.gz   share of each voxel that each region covers
         <unit>/dwi/*_desc-alpsadaptive_probseg.nii.gz   the same, of the regions that sought their tract
"""


include: "functions/alps.smk"


rule alps_index:
    """Carry the four regions to the DWI and compute ALPS."""
    input:
        unpack(template_transforms),
        fa=rules.dwi_tensor.output.fa,
        md=rules.dwi_tensor.output.md,
        v1=rules.dwi_tensor.output.v1,
        tensor=rules.dwi_tensor.output.tensor,
        corrected=corrected_roi_masks,
        masks=user_regions(),
    output:
        facts=unit_path("dwi", "desc-alps_dwi.json"),
        fixed=unit_path("dwi", "desc-alps_probseg.nii.gz"),
        fixed_json=unit_path("dwi", "desc-alps_probseg.json"),
        adaptive=unit_path("dwi", "desc-alpsadaptive_probseg.nii.gz"),
        adaptive_json=unit_path("dwi", "desc-alpsadaptive_probseg.json"),
    log:
        unit_log("alps_index"),
    benchmark:
        unit_benchmark("alps_index")
    conda:
        env("dwi")
    resources:
        mem_mb=growing(2000),
        runtime=growing(15),
    params:
        settings=config["alps"],
        corrections=roi_corrections,
        sources=sources(corrected_roi_masks, user_regions()),
        code=code("alps/index.py"),
    message:
        "Compute ALPS of {wildcards.prefix}"
    script:
        "../scripts/alps/index.py"
