"""Fine-tune the network of perivascular spaces on a rater's masks (rule train_finetune)."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from glymph.common.errors import BadInput
from glymph.common.given import volume
from glymph.common.images import array, load
from glymph.common.job import run
from glymph.common.provenance import file_hash
from glymph.common.tables import write_tsv
from glymph.epvs.agreement import MEASURES
from glymph.epvs.prepare import Grid, resample
from glymph.networks.run import load_bundle, open_bundle
from glymph.train.bundle import draw_curve, write_bundle
from glymph.train.finetune import Example, check_base, judge, make_task
from glymph.train.fit import device_of, train


def main(snakemake):
    params, out, source = snakemake.params, snakemake.output, snakemake.input
    if not source.masks:
        raise BadInput(
            f"no masks of rater '{params.rater}'", "", "check epvs.raters and finetune.rater"
        )
    files = (params.subjects, source.t1w, source.t2w, source.labels, source.masks)
    examples = [_example(*one) for one in zip(*files, strict=True)]
    base = open_bundle("epvs", params.base, snakemake.threads)
    check_base(base)
    network = {k: v for k, v in base.settings["network_def"].items() if k != "_target_"}
    task, held_out = make_task(examples, base.net.state_dict(), network, params.settings)
    hashes = (file_hash(path) for path in (*source.t1w, *source.t2w, *source.labels, *source.masks))
    task = replace(task, made_of=(params.code, *params.subjects, *hashes))
    scratch = Path(params.scratch)
    weights = train(task, scratch, snakemake.threads, device_of(params.device))
    folder = Path(out.weights).parents[1]
    settings = params.settings | {"network": network, "base": base.title, "rater": params.rater}
    write_bundle("epvs", [weights], settings, folder, "snakemake finetune")
    draw_curve(scratch / "curve.tsv", Path(out.curve))
    tuned = load_bundle(folder, snakemake.threads)
    rows = judge(base, held_out, "before") + judge(tuned, held_out, "after")
    write_tsv(rows, out.held_out, ["participant_id", "network", *MEASURES])


def _example(subject, t1w, t2w, labels, mask) -> Example:
    grid_image = load(t1w)
    drawn, _ = resample(volume(mask), Grid(grid_image.shape, grid_image.affine), order=0)
    first = array(grid_image)
    second = array(load(t2w)) if Path(t2w).stat().st_size else np.full_like(first, -1)
    return Example(subject, first, second, drawn > 0.5, array(load(labels), np.uint8))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
