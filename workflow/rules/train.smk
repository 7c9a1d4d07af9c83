"""Training: the networks, on synthetic images. Stands apart; no other stage waits for it.

INPUTS:  none: images are synthesised from the template's tissue maps
OUTPUTS: <train.output_dir>/<network>/{configs,models,docs}  a MONAI bundle
         <train.output_dir>/<network>/docs/{curve,examples}.png
         <train.output_dir>/checkpoints/<network>/           to go on from after a stop
"""


rule train_network:
    """Train one VB-Net on synthetic images and write it as a MONAI bundle."""
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
        mem_mb=6000,
        runtime=360,
    params:
        settings=lambda wildcards: config["train"][wildcards.network],
        device=config.get("train", {}).get("device"),
        scratch="{models}/checkpoints/{network}",
        command="snakemake train --cores 2 --configfile config/train.yaml",
        code=code("train/network.py"),
    message:
        "Train the network '{wildcards.network}' (hours on a CPU; it goes on where it was stopped)"
    script:
        "../scripts/train/network.py"
