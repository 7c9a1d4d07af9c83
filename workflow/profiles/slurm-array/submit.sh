#!/bin/bash
# A cohort too large for one plan, on SLURM: an array of tasks that each plan and run a few subjects
# on a node of their own, then one job for the tables, statistics and pages of who is finished.
#
#   profiles/slurm-array/submit.sh SUBJECTS KEY=VALUE... [-- OPTIONS OF SNAKEMAKE]
#   profiles/slurm-array/submit.sh subjects.txt bids_dir=/data/bids output_dir=/data/derivatives/glymph
#
# SUBJECTS: a text file with a subject per line (sub-01). KEY=VALUE: settings, as after --config.
# The same command again makes what is missing or changed. What a cluster wants beside (account,
# partition) is given as sbatch knows it: SBATCH_ACCOUNT, SBATCH_PARTITION. Of ours, with defaults:
#   SUBJECTS_PER_TASK=1 TASKS_AT_ONCE=200 CPUS=2 MEM=8G MINUTES=180 COHORT_MEM=16G COHORT_MINUTES=240
set -euo pipefail

here=$(realpath "${BASH_SOURCE[0]}") # profiles/ is a link: the repository is where the Snakefile is
until [ -f "$here/Snakefile" ]; do here=$(dirname "$here"); done
snakemake=(snakemake -s "$here/Snakefile" --workflow-profile "$here/profiles/default")

if [ "${1:-}" = --task ]; then # what SLURM runs: the subjects of one task
    subjects=$2 each=$3
    shift 3
    first=$((SLURM_ARRAY_TASK_ID * each + 1))
    labels=$(sed -n "$first,$((first + each - 1))p" "$subjects" | paste -sd,)
    settings=("plan=subjects" "participant_label=[$labels]")
    while [ $# -gt 0 ] && [ "$1" != -- ]; do settings+=("$1") && shift; done
    # No lock of snakemake's: the workflow itself holds the results of each subject.
    exec "${snakemake[@]}" --nolock --cores "$SLURM_CPUS_PER_TASK" "${@:2}" --config "${settings[@]}"
fi

usage() { sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
[ $# -ge 2 ] || usage
logs=$PWD/logs/slurm
mkdir -p "$logs"
subjects=$logs/subjects-$(date +%Y%m%dT%H%M%S).txt # a copy: the array reads it for days
grep -v '^[[:space:]]*$' "$1" >"$subjects" || { echo "$1: names no subject" >&2; exit 2; }
shift
settings=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do settings+=("$1") && shift; done
options=("${@:2}")
each=${SUBJECTS_PER_TASK:-1}
tasks=$((($(wc -l <"$subjects") + each - 1) / each))

# Here and now: what is wrong with the dataset or the settings is said before anything waits.
"${snakemake[@]}" epvs_atlas --cores 1 "${options[@]}" --config "${settings[@]}"

# By --wrap: SLURM runs a script from a copy, which would not find the repository.
task=("$here/profiles/slurm-array/submit.sh" --task "$subjects" "$each" "${settings[@]}" -- "${options[@]}")
array=$(sbatch --parsable --job-name=glymph --array="0-$((tasks - 1))%${TASKS_AT_ONCE:-200}" \
    --cpus-per-task="${CPUS:-2}" --mem="${MEM:-8G}" --time="${MINUTES:-180}" \
    --output="$logs/subjects-%A_%a.log" --wrap "$(printf '%q ' "${task[@]}")")

# afterany: who failed holds up nobody, and is listed as not finished.
group=("${snakemake[@]}" --nolock --cores 2 "${options[@]}" --config "${settings[@]}" plan=cohort)
cohort=$(sbatch --parsable --job-name=glymph-cohort --dependency="afterany:$array" \
    --cpus-per-task=2 --mem="${COHORT_MEM:-16G}" --time="${COHORT_MINUTES:-240}" \
    --output="$logs/cohort-%j.log" --wrap "$(printf '%q ' "${group[@]}")")
echo "Submitted $tasks tasks as array $array, then the cohort as job $cohort; logs: $logs"
