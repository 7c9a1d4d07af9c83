"""Train one network and write its bundle (rule train_network)."""

from dataclasses import replace
from pathlib import Path

from glymph.common.job import run
from glymph.common.provenance import file_hash
from glymph.train.bundle import draw_curve, draw_examples, write_bundle
from glymph.train.fit import device_of, train
from glymph.train.networks import make_task


def main(snakemake):
    name, params, out = snakemake.wildcards.network, snakemake.params, snakemake.output
    folder = Path(out.weights).parents[1]
    made_of = (params.code, *map(file_hash, snakemake.input.heads))
    task = replace(make_task(name, params.settings), made_of=made_of)
    weights = train(task, Path(params.scratch), snakemake.threads, device_of(params.device))
    write_bundle(name, weights, params.settings, folder, params.command)
    draw_curve(Path(params.scratch) / "curve.tsv", Path(out.curve))
    draw_examples(name, folder, task.validation, Path(out.examples))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
