"""Stage dwi: corrected series, tensor maps, and the way from the DWI to the template.

INPUTS:  DWI with bval, bvec, json; images with reverse phase encoding; <unit>/inputs/*_dwi.json;
         <unit>/anat/* where there is a T1w
OUTPUTS: <unit>/dwi/*_desc-preproc_dwi.{nii.gz,bval,bvec,json}
         <unit>/dwi/*_desc-preproc_dwiref.nii.gz, *_desc-brain_mask.nii.gz
         <unit>/dwi/*_desc-motion_timeseries.tsv
         <unit>/dwi/*_model-tensor_param-{fa,md,ad,rd,v1,tensor}_dwimap.nii.gz
         <unit>/dwi/*_from-dwi_to-T1w_mode-image_xfm.mat, *_desc-register_dwi.json
         <unit>/dwi/*_from-dwi_to-template_* instead, where there is no T1w
         <unit>/dwi/*_desc-whitematter_dwi.json
"""


include: "functions/dwi.smk"


rule dwi_correct:
    """Check gradients, denoise, correct motion, eddy currents and distortion; resample once."""
    input:
        check=unit_path("inputs", "dwi.json"),
        files=source_file("dwi", "bval", "bvec", "json"),
        opposite=opposite_images,
        sidecars=diffusion_sidecars,
        t1w_brain=t1w_brain,
    output:
        dwi=unit_path("dwi", "desc-preproc_dwi.nii.gz"),
        bval=unit_path("dwi", "desc-preproc_dwi.bval"),
        bvec=unit_path("dwi", "desc-preproc_dwi.bvec"),
        facts=unit_path("dwi", "desc-preproc_dwi.json"),
        b0=unit_path("dwi", "desc-preproc_dwiref.nii.gz"),
        mask=unit_path("dwi", "desc-brain_mask.nii.gz"),
        motion=unit_path("dwi", "desc-motion_timeseries.tsv"),
    log:
        unit_log("dwi_correct"),
    benchmark:
        unit_benchmark("dwi_correct")
    conda:
        env("dwi")
    resources:
        mem_mb=growing(4000),
        runtime=growing(90),
    params:
        files=lambda wildcards: {
            kind: path
            for kind, path in scan_of(wildcards).files.items()
            if kind in ("dwi", "bval", "bvec", "json")
        },
        settings=correction_settings(),
        fsl=fsl_version(*(f"dwi.{key}" for key in correction_settings())),
        sources=sources(diffusion_files),
        code=code("dwi/correct.py"),
    message:
        "Correct the DWI of {wildcards.prefix}"
    script:
        "../scripts/dwi/correct.py"


rule dwi_tensor:
    """Fit the diffusion tensor by weighted least squares."""
    input:
        dwi=rules.dwi_correct.output.dwi,
        bval=rules.dwi_correct.output.bval,
        bvec=rules.dwi_correct.output.bvec,
        mask=rules.dwi_correct.output.mask,
    output:
        fa=unit_path("dwi", "model-tensor_param-fa_dwimap.nii.gz"),
        md=unit_path("dwi", "model-tensor_param-md_dwimap.nii.gz"),
        ad=unit_path("dwi", "model-tensor_param-ad_dwimap.nii.gz"),
        rd=unit_path("dwi", "model-tensor_param-rd_dwimap.nii.gz"),
        v1=unit_path("dwi", "model-tensor_param-v1_dwimap.nii.gz"),
        tensor=unit_path("dwi", "model-tensor_param-tensor_dwimap.nii.gz"),
        facts=unit_path("dwi", "desc-tensor_dwi.json"),
    log:
        unit_log("dwi_tensor"),
    benchmark:
        unit_benchmark("dwi_tensor")
    conda:
        env("dwi")
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        engine=config["dwi"]["tensor"],
        fsl=fsl_version("dwi.tensor"),
        code=code("dwi/tensor.py"),
    message:
        "Fit the tensor of {wildcards.prefix}"
    script:
        "../scripts/dwi/tensor.py"


rule dwi_register:
    """Align b = 0 to the T1w (rigid)."""
    input:
        b0=rules.dwi_correct.output.b0,
        mask=rules.dwi_correct.output.mask,
        t1w=rules.anat_preproc.output.t1w,
        t1w_mask=rules.anat_preproc.output.mask,
    output:
        affine=unit_path("dwi", "from-dwi_to-T1w_mode-image_xfm.mat"),
        facts=unit_path("dwi", "desc-register_dwi.json"),
    log:
        unit_log("dwi_register"),
    benchmark:
        unit_benchmark("dwi_register")
    conda:
        env("dwi")
    resources:
        mem_mb=growing(3000),
        runtime=growing(20),
    params:
        engine=config["dwi"]["register"],
        fsl=fsl_version("dwi.register"),
        code=code("dwi/register.py"),
    message:
        "Align the DWI of {wildcards.prefix} to its T1w"
    script:
        "../scripts/dwi/register.py"


rule dwi_register_template:
    """Register b = 0 and FA to the template, for a unit without T1w."""
    input:
        b0=rules.dwi_correct.output.b0,
        mask=rules.dwi_correct.output.mask,
        fa=rules.dwi_tensor.output.fa,
        template=template_files(),
    output:
        affine=unit_path("dwi", "from-dwi_to-template_desc-affine_mode-image_xfm.mat"),
        warp=unit_path("dwi", "from-dwi_to-template_desc-warp_mode-image_xfm.nii.gz"),
        inverse_warp=unit_path("dwi", "from-template_to-dwi_desc-warp_mode-image_xfm.nii.gz"),
        facts=unit_path("dwi", "desc-registertemplate_dwi.json"),
    log:
        unit_log("dwi_register_template"),
    benchmark:
        unit_benchmark("dwi_register_template")
    conda:
        env("dwi")
    resources:
        mem_mb=growing(3000),
        runtime=growing(60),
    params:
        template=config["template"],
        sources=states(template_files()),
        code=code("dwi/register_template.py"),
    message:
        "Register the DWI of {wildcards.prefix} to the template (it has no T1w)"
    script:
        "../scripts/dwi/register_template.py"


rule dwi_white_matter:
    """Measure PSMD, and FA and MD of white matter that looks normal."""
    input:
        unpack(template_transforms),
        unpack(white_matter),
        fa=rules.dwi_tensor.output.fa,
        md=rules.dwi_tensor.output.md,
        template=template_files(),
    output:
        facts=unit_path("dwi", "desc-whitematter_dwi.json"),
    log:
        unit_log("dwi_white_matter"),
    benchmark:
        unit_benchmark("dwi_white_matter")
    conda:
        env("dwi")
    resources:
        mem_mb=growing(2000),
        runtime=growing(15),
    params:
        template=config["template"],
        sources=states(template_files()),
        code=code("dwi/white_matter.py"),
    message:
        "Measure the white matter of {wildcards.prefix}"
    script:
        "../scripts/dwi/white_matter.py"
