"""Mark white-matter lesions by a program of the lab's own (rule epvs_lesions)."""

from pathlib import Path

from glymph.common.images import load, save
from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.epvs import command
from glymph.epvs.command_line import Command
from glymph.epvs.maps import LESIONS


def main(snakemake):
    source, params = snakemake.input, snakemake.params
    images = {k: v for k, v in source.items() if Path(v).stat().st_size}
    labels = load(source.labels)
    program = Command("epvs.lesion_command", params.command["template"], params.threshold)
    log = str(snakemake.log[0])
    found, made = command.segment(program, images, labels, snakemake.threads, log, LESIONS)
    about = stamp(list(images.values()), {"threshold": params.threshold} | params.command | made)
    save(found, labels.affine, snakemake.output.probability, about)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
