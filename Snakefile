# Glymphatic imaging: enlarged perivascular spaces and DTI-ALPS from a BIDS dataset.
#
#   snakemake --cores 8 --config bids_dir=/data/bids output_dir=/data/derivatives/glymph
# Results: <output_dir>/{sub-*,group,report}/. Targets: all (default), participant, group, train, finetune.
from snakemake.utils import min_version

min_version("9.19.0")


configfile: f"{workflow.current_basedir}/config/config.yaml"


# A plan of the cohort alone takes the subjects as they are.
OF_UNITS = ("anat", "epvs", "dwi", "alps", "metrics", "qc") if config["plan"] != "cohort" else ()
for stage in ("common", "inputs", *OF_UNITS, "group", "review", "stats", "report", "train"):

    include: f"workflow/rules/{stage}.smk"


include: "workflow/rules/functions/targets.smk"


rule all:
    default_target: True
    input:
        targets("participant"),
        targets("group"),


rule participant:
    input:
        targets("participant"),


rule group:
    input:
        targets("group"),


rule train:
    input:
        targets("train"),


rule finetune:
    input:
        targets("finetune"),


onsuccess:
    report_exclusions()


onerror:
    report_failures()
