"""The words and tables of the report say what the numbers say."""

import html
import re
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from glymph.common.sidecars import write_json
from glymph.epvs.agreement import MEASURES
from glymph.metrics.agreement import summary
from glymph.report import figures, page, text, word
from glymph.report.contents import all_tables
from glymph.report.results import Results, fixed, load_results, number, p_text, short_label
from glymph.stats import roc
from glymph.stats.comparison import compare_all
from glymph.stats.correlation import alps_with_epvs, beyond_ratio, with_scores
from glymph.stats.counts import rates
from glymph.stats.demographics import table
from glymph.stats.discrimination import discriminate
from glymph.stats.longitudinal import mixed_models
from glymph.stats.mediation import mediate
from glymph.stats.regression import moderated, nested
from glymph.stats.sensitivity import sensitivity
from glymph.stats.tables import write
from tests.stats.conftest import draw, make  # noqa: F401


@pytest.fixture
def report_on(make, tmp_path):  # noqa: F811
    """Function from a cohort's table to the results that the report is made from."""

    def run(frame, **changes):
        cohort, settings = make(frame, **changes)
        part, plan = cohort.frame, cohort.plan
        compared, (described, tests) = compare_all(part, plan, settings), table(part, plan, 0.05, 1)
        found = discriminate(part, plan, settings)
        rows = {
            "analysed": part.to_dict("records"), "left_out": cohort.left_out,
            "demographics": described, "demographics_tests": tests,
            "comparison": compared["tests"], "pairs": compared["pairs"],
            "groups": compared["groups"], "correlations": with_scores(part, plan, settings),
            "alps_beyond_ratio": beyond_ratio(part, plan, settings),
            "alps_epvs": alps_with_epvs(part, plan), "discrimination": found["auc"],
            "roc": found["roc"], "calibration": found["calibration"],
            "auc_differences": found["differences"],
            "markers": roc.markers(part, plan),
            "marker_differences": roc.differences(part, plan),
            "regression": nested(part, plan),
            "counts": rates(part, plan),
            "mediation": mediate(part, plan, settings),
            "sensitivity": sensitivity(part, plan, settings),
            "longitudinal": mixed_models(cohort.everything, plan),
        }  # fmt: skip
        rows["moderation"], rows["simple_slopes"] = moderated(part, plan)
        for name, content in rows.items():
            write(name, content, tmp_path / f"{name}.tsv", {})
        write_json({"plan": vars(plan), "notes": cohort.notes}, tmp_path / "decisions.json")
        return load_results(tmp_path, settings, [])

    return run


def test_the_main_result_names_the_metric_that_differs(report_on):
    results = report_on(draw({"AD": 25, "NC": 25}, shift=-0.5))
    first, second = text.main_result(results)
    assert first.startswith("1 of 2 metrics differed between NC and AD")
    assert "most clearly ALPS" in first
    means = results["groups"].query("metric == 'alps_native_mean'").set_index("group")["mean"]
    assert f"{means['AD']:.3g} in AD" in first
    assert "cross-validated AUC" in second
    assert "went with higher MMSE" in second


def test_the_main_result_says_so_where_nothing_differs(report_on):
    first, _ = text.main_result(report_on(draw({"AD": 20, "NC": 20}, seed=5, shift=0.0)))
    assert first.startswith("None of the 2 metrics differed")


def test_without_any_test_the_report_still_stands(report_on):
    results = report_on(draw({"AD": 1, "NC": 1}))
    first, second = text.main_result(results)
    assert "No metric could be compared" in first
    assert "No correlation" in second
    found = all_tables(results)
    assert "not tested: no group has a second subject" in str(found["alps"].rows)
    assert isinstance(figures.draw_all(results), dict)


def test_table_4_holds_the_numbers_of_the_tsv(report_on):
    results = report_on(draw({"AD": 20, "MCI": 12, "NC": 18}))
    shown = all_tables(results)["alps"]
    row = dict(zip(shown.head, shown.rows[0], strict=True))
    test = results["comparison"].set_index("metric").loc["alps_native_mean"]
    assert f"F({test['df1']:.0f}, {test['df2']:.0f}) = {test['statistic']:.2f}" in row["test"]
    assert row["P"] == p_text(test["p"])
    pair = results["pairs"].query(
        "metric == 'alps_native_mean' and group1 == 'NC' and group2 == 'AD'"
    )
    assert row["NC vs AD"] == p_text(pair["p_bonferroni"].iloc[0])


def test_all_zero_regions_say_why(report_on):
    shown = all_tables(report_on(draw({"AD": 9, "NC": 9})))["epvs"]
    row = next(r for r in shown.rows if "CSO-EPVS" in r[0])
    assert "not tested: all values are equal" in row


def test_who_is_left_out_is_said(report_on):
    results = report_on(draw({"AD": 6, "MCI": 6, "NC": 6}), groups=["NC", "AD"])
    words = " ".join(text.who(results))
    assert "12 subjects were analysed: 6 NC and 6 AD." in words
    assert "6 subject-sessions were not" in words


def test_no_text_in_a_figure_is_below_seven_points(report_on):
    drawn = figures.draw_all(report_on(draw({"AD": 12, "MCI": 12, "NC": 12}, shift=0.3)))
    assert {"cohort", "groups_alps", "groups_epvs", "scores_alps", "roc"} <= set(drawn)
    for name, figure in drawn.items():
        assert figure.get_figwidth() <= figures.WIDTH + 1e-6, name
        for item in figure.findobj(lambda a: hasattr(a, "get_fontsize")):
            assert item.get_fontsize() >= 7 or not item.get_text(), (name, item.get_text())


def test_figures_show_numbers_and_names_as_people_write_them(report_on):
    """No markup of formulas in what is shown, and names of groups beside, not on one another."""
    table = draw({"AD": 12, "aMCI": 12, "NC": 12})
    table["epvs_total_fraction_brain"] = table["epvs_total_volume_mm3"] / 1.2e6
    for name, figure in figures.draw_all(report_on(table)).items():
        with figures.plt.rc_context(figures.STYLE):
            figure.canvas.draw()
        for item in figure.findobj(lambda a: hasattr(a, "get_fontsize")):
            assert "$" not in item.get_text() and "\\" not in item.get_text(), (name, item)
        for axis in figure.axes if name.startswith("groups") else []:
            boxes = [label.get_window_extent() for label in axis.get_xticklabels()]
            assert all(a.x1 < b.x0 for a, b in pairwise(boxes)), name


def test_group_colours_differ_in_grey(report_on):
    from matplotlib.colors import to_rgb

    results = report_on(draw({"AD": 5, "MCI": 5, "NC": 5}))
    grey = sorted(np.dot(to_rgb(c), (0.299, 0.587, 0.114)) for c in results.colours.values())
    assert min(np.diff(grey)) > 0.03
    assert len(set(results.markers.values())) == 3


def test_configured_colours_are_used(report_on):
    results = report_on(draw({"AD": 5, "NC": 5}), colours={"NC": "#123456"})
    assert results.colours["NC"] == "#123456"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0004, "<\u00a00.001"),
        (0.0123, "0.012"),
        (None, "n/a"),
        (float("nan"), "n/a"),
        (1.0, "1.000"),
    ],
)
def test_p(value, shown):
    assert p_text(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(1234567.0, "1,234,567"), (1.23456, "1.23"), (0, "0"), (1e-7, "1.00e-07")]
)
def test_number(value, shown):
    assert number(value) == shown


def test_short_labels_are_short():
    for name in ("alps_template_left", "epvs_bg_fraction_brain", "mmse", "my_own_column"):
        assert len(short_label(name)) < 30


def test_methods_name_the_engines_in_use(report_on):
    results = report_on(draw({"AD": 5, "NC": 5}), test="kruskal")
    imaging = {
        "anat": {"brain": "bet", "registration": {"engine": "fsl"}},
        "epvs": {"engine": "frangi", "regions": "atlas", "csf_likeness": 0.7,
                 "total": ["cso", "bg"], "flair_deviations": 3.0, "lesion_mask": None,
                 "lesion_command": None},
        "dwi": {"denoise": "none", "unring": False, "motion": "dipy", "distortion": "t1w",
                "b_max": 1500, "tensor": "dipy", "register": "ants"},
        "alps": {"rois": "study", "axes": "template", "placement": "fixed", "search_mm": 6},
    }  # fmt: skip
    words = " ".join(text.methods(results, imaging, {"scipy": "1"}))
    for expected in ("by BET", "Frangi's filter", "(DIPY)", "template axes", "Kruskal-Wallis",
                     "FSL FNIRT", "aqueduct were not counted, nor", "less than 0.7"):  # fmt: skip
        assert expected in words
    assert "denoised" not in words and "moved by up to" not in words
    seeking = imaging["alps"] | {"placement": "adaptive", "axes": "pas"}
    words_of_other = " ".join(text.methods(results, imaging | {"alps": seeking}, {}))
    assert (
        "moved by up to 6 mm" in words_of_other and "voxel's own principal axes" in words_of_other
    )
    assert "analysis of covariance" not in words.split("Demographics")[0]
    words = " ".join(
        text.methods(results, imaging | {"epvs": imaging["epvs"] | {"engine": "command"}}, {})
    )
    assert "segmented by a program of our own choice" in words and "aqueduct" in words
    assert "lesions were excluded by a threshold on FLAIR (white matter brighter than its median " \
        "by 3 robust" in words  # fmt: skip
    own = {"lesion_mask": "{prefix}.nii.gz", "lesion_command": "p {output}"}
    words = " ".join(text.methods(results, imaging | {"epvs": imaging["epvs"] | own}, {}))
    assert "excluded by masks of our own, else by a program of our own choice (its" in words
    for change, left_out in (({"csf_likeness": 0}, True), ({"engine": "provided"}, False)):
        words = " ".join(text.methods(results, imaging | {"epvs": imaging["epvs"] | change}, {}))
        assert ("aqueduct were not counted." in words) == left_out
        assert "from white matter's signal" not in words


def rows_of_agreement():
    pairs = [("workflow", "r1"), ("workflow", "r2"), ("workflow", "union"), ("r1", "r2")]
    base = dict.fromkeys(MEASURES, 0.1)
    return [
        {"participant_id": f"sub-{g}{k}", "session_id": None, "group": g, "result": a,
         "reference": b} | base | {"dice": 0.5 + 0.1 * k if b == "union" else 0.1}
        for g in ("AD", "NC") for k in range(4) for a, b in pairs
    ]  # fmt: skip


def summary_of(rows):
    return pd.DataFrame(summary(rows, list(MEASURES))).assign(reference_made="scratch")


def test_agreement_gives_table_2_and_figure_3_of_the_union_alone(report_on, tmp_path):
    results = report_on(draw({"AD": 5, "NC": 5}))
    assert figures.agreement(results) is None
    rows = rows_of_agreement()
    results.tables["agreement"] = pd.DataFrame(rows)
    results.tables["agreement_summary"] = summary_of(rows)
    table = all_tables(results)["agreement"]
    assert "Table 2" in table.title
    listed = [row[table.head.index("group")] for row in table.rows]
    assert results.groups == ["NC", "AD"], "the reference first, not as in the rows"
    assert listed == ["NC", "AD", "all"] * 4
    dice = [row[table.head.index("Dice")] for row in table.rows if row[0] == "workflow and union"]
    assert dice == ["0.65 (0.575, 0.725)"] * 3
    assert table.note.endswith("were made: scratch.")
    first = figures.agreement(results).axes[0]
    heights = np.concatenate([c.get_offsets()[:, 1] for c in first.collections
                              if len(c.get_offsets()) > 1])  # fmt: skip
    assert sorted(heights) == pytest.approx(sorted([0.5, 0.6, 0.7, 0.8] * 2))


def test_who_rated_and_how_far_they_agree_is_a_table(report_on):
    results = report_on(draw({"AD": 5, "NC": 5}))
    columns = ["item", "rater1", "rater2", "n", "agreement", "kappa", "reason"]
    results.tables["rating_agreement"] = pd.DataFrame([], columns=columns)
    assert "rating_agreement" not in all_tables(results)
    rows = [("brain", "AB", "CD", 4, 1.0, np.nan, "one and the same"),
            ("objects_bg", "AB", "CD", 50, 0.7, 0.4, None)]  # fmt: skip
    results.tables["rating_agreement"] = pd.DataFrame(rows, columns=columns)
    shown = all_tables(results)["rating_agreement"].rows
    assert shown[0] == ["brain", "AB", "CD", "4", "1", "n/a"]
    assert shown[1] == ["objects_bg", "AB", "CD", "50", "0.7", "0.4"]


def test_null_effects_can_be_drawn(report_on):
    """Intervals of effects near nothing need not hold the estimate."""
    results = report_on(draw({"AD": 20, "NC": 20}))
    results["sensitivity"].loc[:, ["effect", "effect_low", "effect_high"]] = [0.0002, 0.0, 0.0]
    assert figures.sensitivity(results) is not None


def test_residual_scatter_survives_a_score_that_cannot_be_used(report_on):
    results = report_on(draw({"AD": 8, "NC": 8}).assign(moca=20), scatter="residual")
    assert figures.with_scores(results, results.metrics("alps_")) is not None


def test_dollar_signs_are_no_formulas(report_on, tmp_path):
    results = report_on(draw({"$\\x$": 12, "NC": 12}))
    for name, figure in figures.draw_all(results).items():
        figures.save(figure, tmp_path, name)


EVIL = '"><script>alert(1)</script>$x$'


@pytest.fixture
def evil_report(report_on):
    """Groups, sites, columns, sets of features, subjects and raters with markup as names."""
    first, second = draw({"AD": 9, "NC": 9}), f"{EVIL}\uffff"
    frame = first.assign(
        group=first["group"].replace({"AD": EVIL, "NC": second}),
        participant_id=[f"{EVIL}{k}" for k in range(len(first))],
        site=np.where(np.arange(len(first)) % 2, EVIL, "b"),
    ).rename(columns={"alps_native_mean": f"alps_{EVIL}", "mmse": EVIL})
    frame.loc[0, "group"] = None
    results = report_on(
        frame, metrics=[f"alps_{EVIL}", "epvs_total_volume_mm3"], scores=[EVIL],
        covariates=["age", "site"], features={EVIL: [f"alps_{EVIL}"]}, alpha=0.99,
    )  # fmt: skip
    rows = [row | {"reference": EVIL, "group": EVIL} for row in rows_of_agreement()]
    results.tables["agreement"] = pd.DataFrame(rows)
    results.tables["agreement_summary"] = summary_of(rows)
    return results


def test_no_name_becomes_markup(evil_report):
    made = {"sources": [EVIL], "software": {EVIL: EVIL}, "parameters": EVIL}
    shown = page.render(evil_report, {}, None, made, [(EVIL, f"../{EVIL}/qc.html")])
    assert "<script>alert" not in shown
    assert '"><script' not in shown
    assert shown.count("<script>") == 1, "the page's own"
    assert shown.count("alert(1)") > 30, "the names themselves are shown"
    assert any(EVIL[:8] in r[0] for r in all_tables(evil_report)["left_out"].rows)


def test_no_name_breaks_figures_or_the_word_file(evil_report, tmp_path):
    for name, figure in figures.draw_all(evil_report).items():
        figures.save(figure, tmp_path, name)
        drawn = (tmp_path / f"{name}.svg").read_bytes().replace("\uffff".encode(), b"")
        tags = {element.tag.split("}")[-1] for element in ElementTree.fromstring(drawn).iter()}
        assert "script" not in tags
    word.document(evil_report, None, {}).save(tmp_path / "report.docx")


def test_the_same_results_give_the_same_bytes_and_text_stays_text(report_on, tmp_path):
    results = report_on(draw({"AD": 12, "NC": 12}))
    kept = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        figures.save(figures.draw_all(results)["groups_alps"], tmp_path / folder, "f")
        kept.append({k: (tmp_path / folder / f"f.{k}").read_bytes() for k in figures.FORMATS})
    assert kept[0] == kept[1]
    assert b"<text" in kept[0]["svg"]


def test_chance_is_not_called_telling_apart(report_on):
    results = report_on(draw({"AD": 20, "NC": 20}, seed=5, shift=0.0))
    assert "told no pair of groups apart better than chance" in text.main_result(results)[1]


def test_the_pair_that_is_told_apart_is_named_though_another_has_the_higher_auc():
    rows = [("NC vs MCI", 0.78, 0.44, 1.0), ("NC vs AD", 0.74, 0.63, 0.85)]
    auc = pd.DataFrame(
        [{"contrast": c, "features": "ALPS", "auc": a, "auc_low": low, "auc_high": high}
         for c, a, low, high in rows]
    )  # fmt: skip
    results = Results({"discrimination": auc}, {"groups": ["NC", "MCI", "AD"]}, [], {})
    assert "NC vs AD (ALPS, cross-validated AUC 0.74" in text._apart(results)


def test_who_lost_some_metrics_is_not_said_to_be_left_out():
    identity = [("sub-1", None), ("sub-2", None)]
    analysed = pd.DataFrame(identity, columns=["participant_id", "session_id"]).assign(group="NC")
    listed = analysed.iloc[:1].assign(reason="alps rejected (the other metrics are analysed)")
    tables = {"analysed": analysed, "left_out": listed}
    plan = {"groups": ["NC"], "absent": [], "scores": [], "metrics": [], "sets": {},
            "moderators": [], "covariates": []}  # fmt: skip
    settings = {"metrics": [], "scores": [], "features": {}, "mediation": [], "moderators": []}
    results = Results(tables, plan, [], settings)
    words = " ".join(text.who(results))
    assert "were not" not in words
    assert "Of the analysed, 1 lack metrics that raters rejected." in words


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [(999.6, 3, "1,000"), (99.6, 2, "100"), (-999.7, 3, "-1,000"), (999.4, 3, "999"),
     (0.9996, 3, "1"), (12345.6, 3, "12,346")],
)  # fmt: skip
def test_numbers_at_the_edge_of_rounding(value, digits, shown):
    assert number(value, digits) == shown


def test_labels_tell_the_eigenvalue_ratio_from_alps():
    assert "ALPS mean" == short_label("alps_native_mean") != short_label("alps_l2_l3_mean")


def test_citations_are_of_what_was_used(report_on):
    results = report_on(draw({"AD": 5, "NC": 5}))
    imaging = {
        "anat": {"brain": "fsl_bet", "registration": {"engine": "ants"}},
        "epvs": {"engine": "none", "regions": "atlas"},
        "dwi": {"motion": "ants", "register": "ants", "tensor": "dipy"},
    }
    assert not any("MONAI" in line or "Zhu" in line for line in text.citations(results, imaging))
    assert any("Jenkinson" in line for line in text.citations(results, imaging))
    imaging["anat"]["brain"] = "bet"
    assert not any("Jenkinson" in line for line in text.citations(results, imaging))
    assert not any("Avants" in line for line in text.citations(results, None))


def test_values_are_shown_in_units_that_people_read(report_on):
    frame = draw({"AD": 9, "NC": 9})
    frame["epvs_total_fraction_brain"] = frame["epvs_total_volume_mm3"] / 1.2e6
    results = report_on(frame, metrics=["epvs_total_fraction_brain", "alps_native_mean"])
    shown = all_tables(results)["epvs"]
    assert shown.rows[0][0] == "EPVS / brain volume, ‰"
    group = results["groups"].query("metric == 'epvs_total_fraction_brain' and group == 'AD'")
    own = frame.loc[frame["group"] == "AD", "epvs_total_fraction_brain"]
    assert group["median"].iloc[0] == pytest.approx(1000 * own.median())
    assert results["analysed"]["epvs_total_fraction_brain"].max() == pytest.approx(
        1000 * frame["epvs_total_fraction_brain"].max()
    )


def test_what_a_table_lacks_is_said_where_it_is_missed(report_on):
    frame = draw({"AD": 9, "NC": 9}).drop(columns=["epvs_cso_volume_mm3", "moca"])
    results = report_on(frame, features={"ALPS": ["alps_native_mean"], "WMH": ["wmh_volume_mm3"]})
    missed = text.missed(results)
    assert "CSO-EPVS volume" in missed["Enlarged perivascular spaces"][0]
    assert any("MoCA" in line for line in missed["Cognition"])
    assert any("eigenvalue ratio" in line for line in missed["Cognition"])
    assert "features WMH could not be used" in missed["Telling the groups apart"][0]
    about = {"sources": [], "software": {}, "parameters": "{}"}
    shown = page.render(results, {}, None, about, [])
    for lines in missed.values():
        assert all(html.escape(line) in shown for line in lines)


def test_correlations_are_a_matrix_with_the_rows_behind_a_fold(report_on):
    frame = draw({"AD": 12, "NC": 12})
    frame.loc[frame["group"] == "AD", "moca"] = 20
    found = all_tables(report_on(frame, covariates=[]))
    matrix, rows = found["correlations_alps"], found["correlations_alps_rows"]
    columns = [f"{y}, {g}" for y in ("MMSE", "MoCA") for g in ("all", "NC", "AD")]
    assert matrix.head == ["", *columns]
    assert matrix.rows[0][-1] == ""
    assert matrix.note.count("Not computed: 1 of 6 correlations: 1 in AD") == 1
    assert rows.folded and len(rows.rows) == 5


@pytest.mark.parametrize("value, shown", [(-0.004, "0.00"), (-0.006, "-0.01"), (0.0, "0.00")])
def test_zero_has_no_sign(value, shown):
    assert fixed(value) == shown


def test_every_reference_becomes_an_entry_of_bibtex():
    found = text.bibtex(list(text.CITATIONS.values()))
    assert found.count("@article{") == len(text.CITATIONS)
    assert found.count("year = {") == len(text.CITATIONS)
    taoka = next(e for e in found.split("\n\n") if "@article{taoka2017," in e)
    assert "author = {Taoka T and others}" in taoka
    assert "journal = {Jpn J Radiol}" in taoka
    assert "pages = {172--178}" in taoka
    assert "doi = {10.1007/s11604-017-0617-z}" in taoka
    keys = re.findall(r"@article\{(\w+),", found)
    assert len(set(keys)) == len(keys)
