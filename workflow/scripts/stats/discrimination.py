"""Cross-validate the discrimination of groups (rule stats_discrimination)."""

from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.sidecars import read_json
from glymph.stats.analysed import reload, same_rows
from glymph.stats.discrimination import discriminate
from glymph.stats.roc import differences, markers
from glymph.stats.tables import write


def main(snakemake):
    source, out, settings = snakemake.input, snakemake.output, snakemake.params.settings
    decided = read_json(source.decisions)
    analysed, _ = reload(source.analysed, decided["plan"])
    measured, plan = reload(source.sessions, decided["plan"])
    frame = same_rows(measured, analysed)  # not harmonised: that would carry groups into the folds
    found = discriminate(frame, plan, settings)
    made = stamp([source.analysed], dict(settings))
    write("discrimination", found["auc"], out.auc, made)
    write("roc", found["roc"], out.roc, made)
    write("calibration", found["calibration"], out.calibration, made)
    write("markers", markers(frame, plan), out.markers, made)
    write("marker_differences", differences(frame, plan), out.marker_differences, made)
    write("auc_differences", found["differences"], out.auc_differences, made)


if __name__ == "__main__":
    run(main, snakemake, leave_stops=False)  # noqa: F821
