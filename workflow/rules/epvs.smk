"""Stage epvs: enlarged perivascular spaces from T1w and T2w, and their census per region.

INPUTS:  <unit>/anat/* of stage anat; T2w, FLAIR, lesion mask where they exist
OUTPUTS: <unit>/anat/*_from-T1w_to-{T2w,FLAIR}_mode-points_xfm.mat, *_desc-{T2w,FLAIR}align_anat.json
         <unit>/anat/*_space-T1w_res-1mm_{desc-norm_T1w,desc-norm_T2w,desc-brain_mask}.nii.gz
         <unit>/anat/*_space-T1w_res-1mm_desc-region_dseg.nii.gz
         <unit>/anat/*_space-T1w_res-1mm_label-EPVS_probseg.nii.gz
         <unit>/anat/*_space-T1w_res-1mm_label-WMH_probseg.nii.gz   by epvs.lesion_command
         <unit>/anat/*_space-T1w_res-1mm_desc-EPVS_dseg.nii.gz
         <unit>/anat/*_space-T1w_res-1mm_desc-notcounted_mask.nii.gz
         <unit>/anat/*_label-EPVS_mask.nii.gz           on the T1w's own grid
         <unit>/anat/*_desc-EPVS_objects.tsv            every object
         <unit>/anat/*_desc-{region,EPVS}_anat.json     metrics
         atlas/regions_*                                the region atlas on the template
"""


include: "functions/epvs.smk"


rule epvs_atlas:
    """Draw the atlas of regions on the template."""
    input:
        template=template_files(),
    output:
        outlines=f"{OUT}/atlas/regions_desc-outlines_dseg.nii.gz",
        labels=f"{OUT}/atlas/regions_dseg.nii.gz",
        names=f"{OUT}/atlas/regions_dseg.tsv",
    log:
        f"{OUT}/logs/epvs_atlas.log",
    conda:
        env("epvs")
    resources:
        mem_mb=growing(3000),
        runtime=growing(15),
    params:
        template=config["template"],
        sources=states(template_files()),
        definitions=provenance.file_hash(ROOT / "resources" / "regions.yaml"),
        code=code("epvs/atlas.py"),
    message:
        "Draw the atlas of regions"
    script:
        "../scripts/epvs/atlas.py"


rule epvs_align:
    """Align the T2w or FLAIR to the T1w (rigid)."""
    input:
        check=unit_path("inputs", "{kind}.json"),
        image=lambda wildcards: scan_of(wildcards).files[wildcards.kind],
        t1w=rules.anat_preproc.output.t1w,
        mask=rules.anat_preproc.output.mask,
    output:
        matrix=unit_path("anat", "from-T1w_to-{kind}_mode-points_xfm.mat"),
        facts=unit_path("anat", "desc-{kind}align_anat.json"),
    log:
        unit_log("epvs_align_{kind}"),
    wildcard_constraints:
        kind="T2w|FLAIR",
    conda:
        env("epvs")
    resources:
        mem_mb=growing(3000),
        runtime=growing(20),
    params:
        sources=sources(lambda wildcards: [scan_of(wildcards).files[wildcards.kind]]),
        code=code("epvs/align.py"),
    message:
        "Align the {wildcards.kind} of {wildcards.prefix} to its T1w"
    script:
        "../scripts/epvs/align.py"


rule epvs_prepare:
    """Bring T1w, T2w and brain mask to one grid of 1 mm and their intensities to [-1, 1]."""
    input:
        unpack(t2w),
        t1w=rules.anat_preproc.output.t1w,
        mask=rules.anat_preproc.output.mask,
    output:
        t1w=unit_path("anat", "space-T1w_res-1mm_desc-norm_T1w.nii.gz"),
        t2w=unit_path("anat", "space-T1w_res-1mm_desc-norm_T2w.nii.gz"),
        mask=unit_path("anat", "space-T1w_res-1mm_desc-brain_mask.nii.gz"),
        facts=unit_path("anat", "desc-prepare_anat.json"),
    log:
        unit_log("epvs_prepare"),
    benchmark:
        unit_benchmark("epvs_prepare")
    conda:
        env("epvs")
    resources:
        mem_mb=growing(2000),
        runtime=growing(15),
    params:
        without_t2w=config["epvs"]["without_t2w"],
        sources=sources(t2w),
        code=code("epvs/prepare.py"),
    message:
        "Prepare T1w and T2w of {wildcards.prefix} at 1 mm"
    script:
        "../scripts/epvs/prepare.py"


rule epvs_regions:
    """Find centrum semiovale, basal ganglia, midbrain and deep white matter, left and right."""
    input:
        unpack(region_sources),
        t1w=rules.epvs_prepare.output.t1w,
        affine=rules.anat_register.output.affine,
        inverse_warp=rules.anat_register.output.inverse_warp,
        template=template_files(),
    output:
        labels=unit_path("anat", "space-T1w_res-1mm_desc-region_dseg.nii.gz"),
        labels_json=unit_path("anat", "space-T1w_res-1mm_desc-region_dseg.json"),
        facts=unit_path("anat", "desc-region_anat.json"),
    log:
        unit_log("epvs_regions"),
    benchmark:
        unit_benchmark("epvs_regions")
    conda:
        env("epvs")
    threads: config["threads"]
    resources:
        mem_mb=growing(4000),
        runtime=growing(15),
    params:
        template=config["template"],
        engine=region_engine,
        compare=compares_regions,
        model=config["epvs"]["regions_model"],
        weights=region_weights,
        sources=sources(region_sources, template_files()),
        code=code("epvs/regions.py"),
    message:
        "Find the regions of {wildcards.prefix}"
    script:
        "../scripts/epvs/regions.py"


rule epvs_segment:
    """Probability of perivascular space at every voxel."""
    input:
        unpack(command_images("epvs.command")),
        t1w=rules.epvs_prepare.output.t1w,
        t2w=rules.epvs_prepare.output.t2w,
        facts=rules.epvs_prepare.output.facts,
        labels=rules.epvs_regions.output.labels,
        provided=provided_epvs,
    output:
        probability=unit_path("anat", "space-T1w_res-1mm_label-EPVS_probseg.nii.gz"),
        probability_json=unit_path("anat", "space-T1w_res-1mm_label-EPVS_probseg.json"),
    log:
        unit_log("epvs_segment"),
    benchmark:
        unit_benchmark("epvs_segment")
    conda:
        env("epvs")
    threads: config["threads"]
    resources:
        mem_mb=growing(4000),
        runtime=growing(15),
    params:
        engine=config["epvs"]["engine"],
        model=config["epvs"]["model"],
        frangi_threshold=config["epvs"]["frangi_threshold"],
        threshold=epvs_threshold(),
        command=command_of("epvs.command"),
        weights=EPVS_WEIGHTS,
        sources=sources(segment_sources),
        code=code("epvs/segment.py"),
    message:
        "Segment the perivascular spaces of {wildcards.prefix}"
    script:
        "../scripts/epvs/segment.py"


rule epvs_lesions:
    """White-matter lesions by a program of the lab's own (epvs.lesion_command)."""
    input:
        unpack(command_images("epvs.lesion_command")),
        t1w=rules.epvs_prepare.output.t1w,
        t2w=rules.epvs_prepare.output.t2w,
        labels=rules.epvs_regions.output.labels,
    output:
        probability=unit_path("anat", "space-T1w_res-1mm_label-WMH_probseg.nii.gz"),
        probability_json=unit_path("anat", "space-T1w_res-1mm_label-WMH_probseg.json"),
    log:
        unit_log("epvs_lesions"),
    benchmark:
        unit_benchmark("epvs_lesions")
    conda:
        env("epvs")
    threads: config["threads"]
    resources:
        mem_mb=growing(4000),
        runtime=growing(15),
    params:
        threshold=config["epvs"]["lesion_threshold"],
        command=command_of("epvs.lesion_command"),
        sources=sources(command_images("epvs.lesion_command")),
        code=code("epvs/lesions.py"),
    message:
        "Mark the white-matter lesions of {wildcards.prefix}"
    script:
        "../scripts/epvs/lesions.py"


rule epvs_census:
    """Count and measure perivascular spaces per region; list every object."""
    input:
        unpack(lesion_sources),
        probability=rules.epvs_segment.output.probability,
        sidecar=rules.epvs_segment.output.probability_json,
        labels=rules.epvs_regions.output.labels,
        prepared=rules.epvs_prepare.output.facts,
        norm_t1w=rules.epvs_prepare.output.t1w,
        norm_t2w=rules.epvs_prepare.output.t2w,
        brain=rules.epvs_prepare.output.mask,
        tissue=rules.anat_segment.output.facts,
        wm=rules.anat_segment.output.wm,
        gm=rules.anat_segment.output.gm,
        t1w=rules.anat_preproc.output.t1w,
        affine=rules.anat_register.output.affine,
        inverse_warp=rules.anat_register.output.inverse_warp,
        corrected=corrected_epvs,
    output:
        objects=unit_path("anat", "desc-EPVS_objects.tsv"),
        objects_json=unit_path("anat", "desc-EPVS_objects.json"),
        labels=unit_path("anat", "space-T1w_res-1mm_desc-EPVS_dseg.nii.gz"),
        not_counted=unit_path("anat", "space-T1w_res-1mm_desc-notcounted_mask.nii.gz"),
        lesions=unit_path("anat", "space-T1w_res-1mm_desc-lesion_mask.nii.gz"),
        mask=unit_path("anat", "label-EPVS_mask.nii.gz"),
        mask_json=unit_path("anat", "label-EPVS_mask.json"),
        facts=unit_path("anat", "desc-EPVS_anat.json"),
    log:
        unit_log("epvs_census"),
    conda:
        env("epvs")
    resources:
        mem_mb=growing(2000),
        runtime=growing(15),
    params:
        engine=config["epvs"]["engine"],
        csf_likeness=config["epvs"]["csf_likeness"],
        flair_deviations=config["epvs"]["flair_deviations"],
        total=config["epvs"]["total"],
        sources=sources(census_sources),
        code=code("epvs/census.py"),
        registry=provenance.file_hash(ROOT / "resources" / "metrics.yaml"),
    message:
        "Count the perivascular spaces of {wildcards.prefix}"
    script:
        "../scripts/epvs/census.py"


rule epvs_agreement:
    """Compare the result with the masks that raters drew, and the raters with one another."""
    input:
        mask=rules.epvs_census.output.mask,
        labels=rules.epvs_regions.output.labels,
        raters=lambda wildcards: list(scan_of(wildcards).raters.values()),
    output:
        facts=unit_path("anat", "desc-agreement_epvs.json"),
    log:
        unit_log("epvs_agreement"),
    conda:
        env("epvs")
    resources:
        mem_mb=growing(2000),
        runtime=growing(15),
    params:
        raters=lambda wildcards: list(scan_of(wildcards).raters),
        reference=config["epvs"]["reference"],
        sources=sources(lambda wildcards: scan_of(wildcards).raters),
        code=code("epvs/agreement.py"),
    message:
        "Compare the perivascular spaces of {wildcards.prefix} with its raters"
    script:
        "../scripts/epvs/agreement.py"
