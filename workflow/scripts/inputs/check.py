"""Check one image of one unit (rule inputs_check)."""

from glymph.common.job import run
from glymph.common.sidecars import write_json
from glymph.inputs.check import check_anatomical, check_diffusion


def main(snakemake):
    files = snakemake.params.files
    if snakemake.wildcards.kind == "dwi":
        facts = check_diffusion(files, snakemake.params.b_max)
    else:
        facts = check_anatomical(files[snakemake.wildcards.kind])
    write_json(facts, snakemake.output.facts)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
