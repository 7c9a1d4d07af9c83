"""Describe the output folder as a BIDS derivative dataset (rule inputs_describe)."""

from pathlib import Path

from glymph.common.job import run
from glymph.common.sidecars import write_json
from glymph.inputs.describe import IGNORED, README, SIDECARS, description


def main(snakemake):
    out = snakemake.output
    for path in out.sidecars:
        write_json(SIDECARS[Path(path).name], path)
    Path(out.readme).write_text(README, encoding="utf-8")
    Path(out.ignore).write_text("\n".join(IGNORED) + "\n", encoding="utf-8")
    write_json(description(), out.description)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
