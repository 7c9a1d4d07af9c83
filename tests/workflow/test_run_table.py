"""Statistics and report on a table made elsewhere: a cohort of the study's size."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import docx
import pytest

from glymph.simulate.table import draw
from tests.workflow.conftest import ROOT, STATISTICS, planned, snakemake

pytestmark = pytest.mark.slow
GROUPS = "[NC, AMCI, AD]"


def settings(**more):
    chosen = {"groups": GROUPS, "permutations": 19, "repeats": 3} | more
    words = ", ".join(f"{k}: {v}" for k, v in chosen.items())
    return ["--config", "metrics_table=table.tsv", "output_dir=out", f"stats={{{words}}}"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    draw().to_csv(folder / "table.tsv", sep="\t", index=False, float_format="%.10g")
    _, output = snakemake(*settings(), cwd=folder)
    return folder, output


def table(folder, name):
    with (folder / f"out/group/stats/{name}.tsv").open() as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_only_statistics_run(study):
    assert planned(study[1]) == {"all": 1, "review_ratings": 1, **STATISTICS}


def test_the_studys_f_values_come_out(study):
    """Section 3 of the specification: 28.6 left and 36.3 mean follow from its table; so does 28.6
    for the right side, where the study prints 3.595."""
    rows = [r for r in table(study[0], "comparison") if r["anova_f"] != "n/a"]
    found = {r["metric"]: float(r["anova_f"]) for r in rows}
    assert found["alps_native_left"] == pytest.approx(28.6, abs=0.05)
    assert found["alps_native_mean"] == pytest.approx(36.3, abs=0.05)
    assert found["alps_native_right"] == pytest.approx(28.6, abs=0.05)


def test_the_studys_sexes_give_its_true_chi_square(study):
    sex = next(r for r in table(study[0], "demographics_tests") if r["variable"] == "sex")
    assert float(sex["statistic"]) == pytest.approx(0.93, abs=0.005)
    assert float(sex["p"]) == pytest.approx(0.63, abs=0.005)


def test_the_pattern_of_significance_is_that_of_table_4(study):
    pairs = {(r["metric"], r["group1"], r["group2"]): float(r["p_bonferroni"])
             for r in table(study[0], "pairs")}  # fmt: skip
    for side in ("left", "right", "mean"):
        assert pairs[f"alps_native_{side}", "NC", "AD"] < 0.001
        assert pairs[f"alps_native_{side}", "AMCI", "AD"] < 0.01
    assert pairs["alps_native_left", "NC", "AMCI"] < 0.05
    assert pairs["alps_native_mean", "NC", "AMCI"] < 0.05


def test_the_report_stands_alone(study):
    page = (study[0] / "out/report/report.html").read_text()
    for name in ("Table 1", "Table 3", "Table 4", "Methods", "Provenance"):
        assert name in page
    bare = re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)
    assert not re.findall(r"(?:src|href)=\"(?:http|/)", bare)
    assert "145 subjects were analysed: 32 NC, 24 AMCI and 89 AD" in page
    assert "Metrics were taken from a table" in page


def test_figures_come_as_vectors_and_pixels(study):
    folder = study[0] / "out/group/figures"
    names = {p.stem for p in folder.glob("*.png")}
    assert {"cohort", "groups_alps", "groups_epvs", "scores_alps", "roc", "sensitivity"} <= names
    for name in names:
        assert (folder / f"{name}.svg").stat().st_size > 1000
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_the_word_file_holds_the_tables(study):
    document = docx.Document(study[0] / "out/report/report.docx")
    text = "\n".join(p.text for p in document.paragraphs)
    assert "Table 4. ALPS by group" in text
    assert "type II sums of squares" in text
    cells = [c.text for t in document.tables for r in t.rows for c in r.cells]
    assert any("F(2, 138)" in c for c in cells)


def test_nothing_to_do_the_second_time(study):
    _, output = snakemake("-n", *settings(), cwd=study[0])
    assert planned(output) == {}


def test_snakemakes_own_report_works(study):
    snakemake("--report", "snakemake_report.html", *settings(), cwd=study[0])
    page = (study[0] / "snakemake_report.html").read_text()
    assert "groups_alps" in page
    assert "A figure of the cohort" in page
    assert "Research use only" in page


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("subject\tgroup\nx\tA\n", "no column participant_id"),
        ("participant_id\tdiagnosis\nsub-1\tA\n", "no column group"),
    ],
)
def test_a_wrong_table_fails_with_one_message(tmp_path, content, message):
    (tmp_path / "table.tsv").write_text(content)
    code, output = snakemake(*settings(), cwd=tmp_path, check=False)
    assert code != 0
    assert message in output
    assert "Traceback" not in output


def test_a_missing_table_is_said_before_anything_runs(tmp_path):
    code, output = snakemake(*settings(), cwd=tmp_path, check=False)
    assert code != 0
    assert "metrics_table: there is no file table.tsv" in output


def test_text_from_the_table_never_becomes_html(tmp_path):
    frame = draw()
    frame["group"] = frame["group"].replace({"AD": "<script>alert(1)</script>"})
    frame.to_csv(tmp_path / "table.tsv", sep="\t", index=False, float_format="%.10g")
    snakemake(*settings(groups="[]", permutations=0, repeats=1), cwd=tmp_path)
    page = (tmp_path / "out/report/report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_the_module_writes_the_same_table(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "glymph.simulate.table", "t.tsv", "--null"],
        cwd=tmp_path, check=True, env={"PYTHONPATH": str(ROOT / "workflow")},
    )  # fmt: skip
    assert len(Path(tmp_path / "t.tsv").read_text().splitlines()) == 146
