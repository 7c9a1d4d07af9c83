# Glymphatic imaging: DTI-ALPS (and, to come, enlarged perivascular spaces) from a BIDS dataset.
#
#   snakemake --cores 8 --config bids_dir=/data/bids output_dir=/data/derivatives/glymph
#
# Results of a subject-session stand in <output_dir>/sub-*/[ses-*/], those of the cohort in
# <output_dir>/group/. Targets: all (default), participant, group.
from snakemake.utils import min_version

min_version("9.19.0")


configfile: f"{workflow.basedir}/config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/anat.smk"
include: "workflow/rules/dwi.smk"
include: "workflow/rules/alps.smk"
include: "workflow/rules/metrics.smk"
include: "workflow/rules/qc.smk"


localrules:
    all,
    participant,
    group,


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


onsuccess:
    report_exclusions()


onerror:
    report_failures()
