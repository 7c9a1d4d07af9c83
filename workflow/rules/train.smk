"""Training: the networks, on synthetic images. Stands apart; no other stage waits for it.

INPUTS:  images are synthesised from the template's tissue maps; for the brain resources/heads/*
OUTPUTS: <train.output_dir>/<network>/{configs,models,docs}  a MONAI bundle
         <train.output_dir>/<network>/docs/{curve,examples}.png
         <train.output_dir>/checkpoints/<network>/           to go on from after a stop
"""


include: "functions/train.smk"


rule train_network:
    """Train one VB-Net on synthetic images and write it as a MONAI bundle."""
    input:
        heads=donor_heads,
    output:
        weights="{models}/{network}/models/model.pt",
        metadata="{models}/{network}/configs/metadata.json",
        inference="{models}/{network}/configs/inference.json",
        curve="{models}/{network}/docs/curve.png",
        examples="{models}/{network}/docs/examples.png",
    log:
        "{models}/logs/train_{network}.log",
    wildcard_constraints:
        network="epvs|regions|brain",
    conda:
        env("epvs")
    resources:
        mem_mb=growing(6000),
        runtime=growing(360),
    params:
        settings=lambda wildcards: config["train"][wildcards.network],
        device=config.get("train", {}).get("device"),
        scratch="{models}/checkpoints/{network}",
        command="snakemake train --cores 2 --configfile config/config.yaml config/train.yaml",
        code=code("train/network.py"),
    message:
        "Train the network '{wildcards.network}' (hours on a CPU; it goes on where it was stopped)"
    script:
        "../scripts/train/network.py"


rule train_finetune:
    """Go on training the network of perivascular spaces on the masks of one rater."""
    input:
        t1w=of_units(finetune_units(), "anat", "space-T1w_res-1mm_desc-norm_T1w.nii.gz"),
        t2w=of_units(finetune_units(), "anat", "space-T1w_res-1mm_desc-norm_T2w.nii.gz"),
        labels=of_units(finetune_units(), "anat", "space-T1w_res-1mm_desc-region_dseg.nii.gz"),
        masks=[scan.raters[config["finetune"]["rater"]] for scan in finetune_scans()],
    output:
        weights="{models}/epvs-finetuned/models/model.pt",
        metadata="{models}/epvs-finetuned/configs/metadata.json",
        inference="{models}/epvs-finetuned/configs/inference.json",
        curve="{models}/epvs-finetuned/docs/curve.png",
        held_out="{models}/epvs-finetuned/docs/held_out.tsv",
    log:
        "{models}/logs/train_finetune.log",
    conda:
        env("epvs")
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        subjects=[scan.unit.participant_id for scan in finetune_scans()],
        settings=config.get("finetune", {}).get("settings"),
        rater=config.get("finetune", {}).get("rater"),
        base=config.get("finetune", {}).get("base"),
        weights=model_hash(
            "epvs",
            config.get("finetune", {}).get("base"),
            "vbnet" if "finetune" in config else "none",
        ),
        device=config.get("finetune", {}).get("device"),
        scratch="{models}/checkpoints/epvs-finetuned",
        code=code("train/finetune.py"),
    message:
        "Fine-tune the network of perivascular spaces"
    script:
        "../scripts/train/finetune.py"
