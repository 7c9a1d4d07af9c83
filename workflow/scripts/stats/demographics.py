"""Describe covariates and scores by group (rule stats_demographics)."""

from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.sidecars import read_json
from glymph.stats.analysed import reload
from glymph.stats.demographics import table
from glymph.stats.tables import write


def main(snakemake):
    source, out, settings = snakemake.input, snakemake.output, snakemake.params.settings
    frame, plan = reload(source.analysed, read_json(source.decisions)["plan"])
    described, tests = table(frame, plan, settings["alpha"], settings["seed"])
    made = stamp([source.analysed], dict(settings))
    write("demographics", described, out.table, made)
    write("demographics_tests", tests, out.tests, made)


if __name__ == "__main__":
    run(main, snakemake, leave_stops=False)  # noqa: F821
