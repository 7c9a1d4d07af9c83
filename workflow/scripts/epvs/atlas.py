"""Draw the atlas of EPVS regions on the template (rule epvs_atlas)."""

from glymph.common import legend
from glymph.common.images import save
from glymph.common.job import run
from glymph.common.tables import write_tsv
from glymph.common.template import load_template
from glymph.epvs import atlas


def main(snakemake):
    template = load_template(snakemake.params.template)
    affine = template.t1w.affine
    outlines = atlas.enclosed(template.t1w.shape, affine)
    save(outlines, affine, snakemake.output.outlines)
    save(atlas.draw(template, outlines), affine, snakemake.output.labels)
    write_tsv(legend.label_table(), snakemake.output.names)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
