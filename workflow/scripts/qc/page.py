"""Draw the page and the thumbnails of one unit (rule qc_page)."""

from pathlib import Path

from glymph.common.errors import read_stop
from glymph.common.job import run
from glymph.common.sidecars import read_json
from glymph.qc.page import render
from glymph.qc.pictures import pictures
from glymph.qc.thumbnails import thumbnails


def main(snakemake):
    source, out = snakemake.input, snakemake.output
    have = {
        name: path
        for name, path in source.items()
        if name not in ("record", "template") and not read_stop(path)
    }
    found = list(pictures(have, snakemake.params.template))
    pages = [figure for figure, _ in found]
    tiles = {name: tile for _, own in found for name, tile in own.items()}
    Path(out.page).write_text(render(read_json(source.record), pages), encoding="utf-8")
    Path(out.thumbnails).write_bytes(thumbnails(tiles))


if __name__ == "__main__":
    run(main, snakemake, pass_stops=False)  # noqa: F821
