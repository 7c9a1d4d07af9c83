# Glymphatic imaging: enlarged perivascular spaces and DTI-ALPS from a BIDS dataset.
#
#   snakemake --cores 8 --config bids_dir=/data/bids output_dir=/data/derivatives/glymph
# Results: <output_dir>/{sub-*,group,report}/. Targets: all (default), participant, group, train, finetune.
from snakemake.utils import min_version

min_version("9.19.0")


configfile: f"{workflow.current_basedir}/config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/anat.smk"
include: "workflow/rules/epvs.smk"
include: "workflow/rules/dwi.smk"
include: "workflow/rules/alps.smk"
include: "workflow/rules/metrics.smk"
include: "workflow/rules/qc.smk"
include: "workflow/rules/review.smk"
include: "workflow/rules/stats.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/train.smk"
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
