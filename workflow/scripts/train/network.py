"""Train one network and write its bundle (rule train_network)."""

from dataclasses import replace
from pathlib import Path

from glymph.common.job import run
from glymph.common.provenance import file_hash
from glymph.train.bundle import draw_curve, draw_examples, write_bundle
from glymph.train.fit import device_of, train
from glymph.train.networks import make_task, wide_task


def main(snakemake):
    name, params, out = snakemake.wildcards.network, snakemake.params, snakemake.output
    folder = Path(out.weights).parents[1]
    made_of = (params.code, *map(file_hash, snakemake.input.heads))
    task = replace(make_task(name, params.settings), made_of=made_of)
    scratch, device = Path(params.scratch), device_of(params.device)
    members = [train(task, scratch, snakemake.threads, device)]
    if params.settings.get("wide"):
        second = replace(wide_task(params.settings, members[0]), made_of=made_of)
        members.append(train(second, scratch / "wide", snakemake.threads, device))
    write_bundle(name, members, params.settings, folder, params.command)
    draw_curve(scratch / "curve.tsv", Path(out.curve))
    draw_examples(name, folder, task.validation, Path(out.examples))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
