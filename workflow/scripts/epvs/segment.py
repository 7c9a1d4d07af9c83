"""Segment perivascular spaces (rule epvs_segment)."""

from dataclasses import asdict
from pathlib import Path

from glymph.common.images import array, load, save
from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.epvs import command
from glymph.epvs.census import PROBABILITY
from glymph.epvs.command_line import Command
from glymph.epvs.segment import segment


def main(snakemake):
    params = snakemake.params
    settings = {"engine": params.engine, "threshold": params.threshold}
    make = by_command if params.engine == "command" else by_engine
    found, affine, sources, more, reading = make(snakemake)
    about = stamp(sources, settings | more, Reading=asdict(reading))
    save(found, affine, snakemake.output.probability, about)


def by_engine(snakemake):
    source, params = snakemake.input, snakemake.params
    t1w = load(source.t1w)
    t2w = array(load(source.t2w)) if Path(source.t2w).stat().st_size else None
    found, made_by, reading = segment(
        t1w, t2w, array(load(source.labels), "uint8"), params.engine, params.model,
        params.frangi_threshold, next(iter(source.provided), None), params.threshold,
        snakemake.threads,
    )  # fmt: skip
    return found, t1w.affine, [source.t1w, source.t2w], {"model": made_by}, reading


def by_command(snakemake):
    source, params = snakemake.input, snakemake.params
    others = ("facts", "provided")
    images = {k: v for k, v in source.items() if k not in others and Path(v).stat().st_size}
    labels = load(source.labels)
    program = Command("epvs.command", params.command["template"], params.threshold)
    log = str(snakemake.log[0])
    found, made = command.segment(program, images, labels, snakemake.threads, log)
    return found, labels.affine, list(images.values()), params.command | made, PROBABILITY


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
