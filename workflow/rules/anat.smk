"""Stage anat: bias-corrected T1w, brain mask, registration to the template, tissue volumes.

INPUTS:  T1w (and, where provided, its brain mask); <unit>/inputs/*_T1w.json
OUTPUTS: <unit>/anat/*_desc-preproc_T1w.nii.gz
         <unit>/anat/*_desc-brain_mask.nii.gz
         <unit>/anat/*_from-T1w_to-template_desc-{affine,warp}_mode-image_xfm.{mat,nii.gz}
         <unit>/anat/*_from-template_to-T1w_desc-warp_mode-image_xfm.nii.gz
         <unit>/anat/*_space-template_desc-preproc_T1w.nii.gz
         <unit>/anat/*_label-{CSF,GM,WM}_probseg.nii.gz
         <unit>/anat/*_desc-{brain,template,tissue}_anat.json
"""


include: "functions/anat.smk"


rule anat_preproc:
    """N4 bias-field correction and brain extraction of the T1w."""
    input:
        check=unit_path("inputs", "T1w.json"),
        t1w=source_file("T1w"),
        mask=source_file("brain_mask"),
    output:
        t1w=unit_path("anat", "desc-preproc_T1w.nii.gz"),
        t1w_json=unit_path("anat", "desc-preproc_T1w.json"),
        mask=unit_path("anat", "desc-brain_mask.nii.gz"),
        mask_json=unit_path("anat", "desc-brain_mask.json"),
        facts=unit_path("anat", "desc-brain_anat.json"),
    log:
        unit_log("anat_preproc"),
    benchmark:
        unit_benchmark("anat_preproc")
    conda:
        env("anat")
    threads: config["threads"]
    resources:
        mem_mb=growing(3000),
        runtime=growing(30),
    params:
        settings={k: config["anat"][k] for k in ("brain", "brain_model", "bet_intensity")},
        fsl=fsl_version("anat.brain"),
        check=brain_check() if config["anat"]["compare_brain"] else None,
        weights=brain_networks(),
        sources=sources(source_file("T1w", "brain_mask")),
        code=code("anat/preproc.py"),
    message:
        "N4 and brain extraction of {wildcards.prefix}"
    script:
        "../scripts/anat/preproc.py"


rule anat_register:
    """Register the T1w brain to the template (affine, then nonlinear)."""
    input:
        t1w=rules.anat_preproc.output.t1w,
        mask=rules.anat_preproc.output.mask,
        mask_json=rules.anat_preproc.output.mask_json,
        template=template_files(),
    output:
        affine=unit_path("anat", "from-T1w_to-template_desc-affine_mode-image_xfm.mat"),
        warp=unit_path("anat", "from-T1w_to-template_desc-warp_mode-image_xfm.nii.gz"),
        inverse_warp=unit_path("anat", "from-template_to-T1w_desc-warp_mode-image_xfm.nii.gz"),
        warped=unit_path("anat", "space-template_desc-preproc_T1w.nii.gz"),
        facts=unit_path("anat", "desc-template_anat.json"),
    log:
        unit_log("anat_register"),
    benchmark:
        unit_benchmark("anat_register")
    conda:
        env("anat")
    resources:
        mem_mb=growing(3000),
        runtime=growing(60),
    params:
        template=config["template"],
        settings=config["anat"]["registration"],
        sources=states(template_files()),
        fsl=fsl_version("anat.registration.engine"),
        parts=provenance.file_hash(ROOT / "resources" / "brain_parts.yaml"),
        code=code("anat/register.py"),
    message:
        "Register the T1w of {wildcards.prefix} to the template"
    script:
        "../scripts/anat/register.py"


rule anat_segment:
    """Segment grey matter, white matter and CSF; measure brain and intracranial volume."""
    input:
        t1w=rules.anat_preproc.output.t1w,
        mask=rules.anat_preproc.output.mask,
        affine=rules.anat_register.output.affine,
        inverse_warp=rules.anat_register.output.inverse_warp,
        template=template_files(),
    output:
        csf=unit_path("anat", "label-CSF_probseg.nii.gz"),
        gm=unit_path("anat", "label-GM_probseg.nii.gz"),
        wm=unit_path("anat", "label-WM_probseg.nii.gz"),
        facts=unit_path("anat", "desc-tissue_anat.json"),
    log:
        unit_log("anat_segment"),
    benchmark:
        unit_benchmark("anat_segment")
    conda:
        env("anat")
    resources:
        mem_mb=growing(3000),
        runtime=growing(30),
    params:
        template=config["template"],
        settings=config["anat"]["segmentation"],
        sources=states(template_files()),
        code=code("anat/segment.py"),
    message:
        "Segment the tissues of {wildcards.prefix}"
    script:
        "../scripts/anat/segment.py"
