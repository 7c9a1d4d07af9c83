"""The same numbers as R: see reference/make_reference.R, whose calls stand in expected.tsv."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from glymph.stats.analysed import Plan
from glymph.stats.comparison import compare
from glymph.stats.correlation import partial_correlation
from glymph.stats.demographics import contingency, fisher_freeman_halton
from glymph.stats.ranks import dunn

FOLDER = Path(__file__).parent / "reference"
EXPECTED = pd.read_csv(FOLDER / "expected.tsv", sep="\t")
COVARIATES = {
    "ties": ["age", "sex"], "unbalanced": ["age", "sex", "site"],
    "missing": ["age", "sex", "site"],
}  # fmt: skip
SETTINGS = {"test": "ancova", "alpha": 0.05, "equivalence": 0.5, "seed": 1}


def measured(name):
    """Every quantity of a dataset by the name that the R script gives it."""
    frame = pd.read_csv(FOLDER / f"{name}.csv")
    groups = sorted(frame["group"].unique())
    frame["group"] = pd.Categorical(frame["group"], groups, ordered=True)
    covariates = COVARIATES[name]
    categorical = [c for c in covariates if c != "age"]
    plan = Plan(groups, ["value"], ["score"], covariates, categorical)
    found = compare(frame, "value", plan, SETTINGS)
    (row,) = found["tests"]
    values = {k: row[k] for k in (
        "ancova_f", "ancova_p", "ancova_df2", "shapiro_residuals_p", "levene_p", "slopes_f",
        "slopes_p", "anova_f", "anova_p", "kruskal_h", "kruskal_p")}  # fmt: skip
    for r in found["groups"]:
        values[f"adjusted_mean {r['group']}"] = r["adjusted_mean"]
        values[f"adjusted_se {r['group']}"] = r["adjusted_se"]
    for r in found["pairs"]:
        pair = f"{r['group1']} {r['group2']}"
        values[f"contrast {pair}"] = r["difference"]
        values[f"contrast_t {pair}"] = r["statistic"]
        values[f"contrast_p {pair}"] = r["p"]
        values[f"contrast_low {pair}"] = r["difference_low"]
        values[f"contrast_bonferroni {pair}"] = r["p_bonferroni"]
    have = frame[frame["value"].notna()]
    samples = [have.loc[have["group"] == g, "value"].to_numpy(float) for g in groups]
    for (a, b), (z, p) in dunn(samples).items():
        values[f"dunn_z {groups[a]} {groups[b]}"] = z
        values[f"dunn_p {groups[a]} {groups[b]}"] = p
    counts = pd.crosstab(frame["sex"], frame["group"]).to_numpy()
    exact, how = fisher_freeman_halton(counts, 1)
    assert how == "all tables"
    values["fisher_p"] = exact
    for kind, prefix in (("pearson", "partial"), ("spearman", "partial_spearman")):
        r = partial_correlation(frame, "value", "score", covariates, categorical, kind)
        values["partial_r" if kind == "pearson" else prefix] = r["r"]
        if kind == "pearson":
            values |= {"partial_p": r["p"], "partial_df": r["df"]}
    plain = partial_correlation(frame, "value", "score", [], [], "spearman")
    values |= {"spearman": plain["r"], "spearman_p": plain["p"]}
    from scipy.stats import chi2_contingency

    chi2 = chi2_contingency(counts, correction=False)
    values |= {"chi2": chi2.statistic, "chi2_p": chi2.pvalue}
    return values


@pytest.mark.parametrize("name", list(COVARIATES))
def test_every_number_is_that_of_r(name):
    values = measured(name)
    expected = EXPECTED[EXPECTED["data"] == name].set_index("quantity")["value"]
    assert set(expected.index) == set(values)
    wrong = {k: (values[k], e) for k, e in expected.items()
             if not np.isclose(values[k], e, rtol=1e-6, atol=1e-9)}  # fmt: skip
    assert not wrong


def test_the_datasets_have_what_they_are_named_for():
    ties = pd.read_csv(FOLDER / "ties.csv")
    assert ties["value"].nunique() < len(ties) / 3
    missing = pd.read_csv(FOLDER / "missing.csv")
    assert missing[["value", "age", "score", "sex"]].isna().any(axis=0).all()


def test_small_expected_counts_lead_to_the_exact_test():
    assert contingency(np.array([[10, 12, 9], [11, 10, 12]]), 1)["test"] == "chi-square"
    assert contingency(np.array([[3, 0, 2], [1, 4, 5]]), 1)["test"] == "Fisher-Freeman-Halton"
    p, _ = fisher_freeman_halton(np.array([[3, 0, 2], [1, 4, 5]]), 1)
    # fisher.test(matrix(c(3, 1, 0, 4, 2, 5), 2))$p.value
    assert p == pytest.approx(0.0862470862470865, rel=1e-9)
    sampled, how = fisher_freeman_halton(np.full((4, 6), 12), 1)
    assert "random" in how
    assert sampled > 0.9


def test_dunn_and_partial_correlation_agree_with_the_libraries():
    pingouin, posthocs = pytest.importorskip("pingouin"), pytest.importorskip("scikit_posthocs")
    frame = pd.read_csv(FOLDER / "unbalanced.csv")
    groups = sorted(frame["group"].unique())
    samples = [frame.loc[frame["group"] == g, "value"].to_numpy() for g in groups]
    theirs = posthocs.posthoc_dunn(samples, p_adjust=None).to_numpy()
    for a, b in combinations(range(3), 2):
        assert dunn(samples)[a, b][1] == pytest.approx(theirs[a, b], rel=1e-9)
    mine = partial_correlation(frame, "value", "score", ["age"], [], "pearson")
    theirs = pingouin.partial_corr(frame, "value", "score", "age")
    assert mine["r"] == pytest.approx(theirs["r"].iloc[0], rel=1e-9)
