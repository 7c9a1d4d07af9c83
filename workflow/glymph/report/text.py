"""Sentences made from the numbers: the main result, the methods, the captions."""

from __future__ import annotations

import re
from collections import Counter

import pandas as pd

from glymph.common import fsl, legend
from glymph.report.results import Results, label, number, p_equals, short_label
from glymph.stats.analysed import IDENTITY, WHOLE, said_sets

CITATIONS = {
    "DeLong": "DeLong ER, et al. Biometrics 1988;44:837-845. doi:10.2307/2531595",
    "mediation": "Preacher KJ, Hayes AF. Behav Res Methods 2008;40:879-891. "
    "doi:10.3758/BRM.40.3.879",
    "ALPS": "Taoka T, et al. Jpn J Radiol 2017;35:172-178. doi:10.1007/s11604-017-0617-z",
    "VB-Net": "Zhu M, et al. Front Aging Neurosci 2022;14:915009. doi:10.3389/fnagi.2022.915009",
    "ANTs": "Avants BB, et al. Neuroimage 2011;54:2033-2044. doi:10.1016/j.neuroimage.2010.09.025",
    "deepbet": "Fisch L, et al. Comput Biol Med 2024;179:108845. "
    "doi:10.1016/j.compbiomed.2024.108845",
    "N4": "Tustison NJ, et al. IEEE Trans Med Imaging 2010;29:1310-1320. "
    "doi:10.1109/TMI.2010.2046908",
    "FSL": "Jenkinson M, et al. Neuroimage 2012;62:782-790. doi:10.1016/j.neuroimage.2011.09.015",
    "DIPY": "Garyfallidis E, et al. Front Neuroinform 2014;8:8. doi:10.3389/fninf.2014.00008",
    "MONAI": "Cardoso MJ, et al. arXiv 2022. doi:10.48550/arXiv.2211.02701",
    "Snakemake": "Moelder F, et al. F1000Research 2021;10:33. doi:10.12688/f1000research.29032.2",
    "statsmodels": "Seabold S, Perktold J. Proc 9th Python in Science Conf 2010. "
    "doi:10.25080/Majora-92bf1922-011",
    "scikit-learn": "Pedregosa F, et al. J Mach Learn Res 2011;12:2825-2830",
    "FDR": "Benjamini Y, Hochberg Y. J R Stat Soc B 1995;57:289-300. "
    "doi:10.1111/j.2517-6161.1995.tb02031.x",
    "ComBat": "Fortin JP, et al. Neuroimage 2018;167:104-120. doi:10.1016/j.neuroimage.2017.11.024",
    "resampled t": "Nadeau C, Bengio Y. Mach Learn 2003;52:239-281. doi:10.1023/A:1024068626366",
}
CAPTIONS = {
    "cohort": "The cohort on one page. One line per subject, ordered by group and last score; "
    "colour: robust z (median and median absolute deviation) over the cohort; grey: missing.",
    "groups_alps": "ALPS by group: points are subjects, boxes quartiles, shades densities. "
    "Brackets: pairs with a Bonferroni-corrected P below alpha. Numbers below the names: subjects "
    "with a value. Values are not adjusted for covariates (with ComBat they are harmonised over "
    "sites); the tests are those of Table 4.",
    "groups_epvs": "Enlarged perivascular spaces by group, drawn as ALPS; the tests are those of "
    "Table 3.",
    "groups_other": "Other metrics by group, drawn as ALPS.",
    "scores_epvs": "Perivascular spaces and cognition (Figure 4 of the study), the first six "
    "metrics of the configuration. R² and P: partial correlation given the covariates, where "
    "there are any, all groups together. Line: least squares.",
    "scores_alps": "ALPS and cognition (Figure 5 of the study), drawn as Figure 4.",
    "correlations": "Spearman correlation between all metrics and scores, all groups together, "
    "without covariates.",
    "roc": "Cross-validated ROC of every pair of groups: mean over the test folds; the shade is "
    "the pointwise 95 % band of the set with the highest AUC. Numbers: AUC with its interval.",
    "calibration": "Predicted against observed share of the second group, in five bins; the "
    "diagonal is perfect.",
    "agreement": "Agreement of the segmentation with the union of the raters (or the one rater), "
    "subject by subject (Figure 3 of the study); lines are medians.",
    "sensitivity": "Effect sizes of the comparison of groups when one choice is changed at a time.",
}  # fmt: skip


def main_result(results: Results) -> list[str]:
    """Two sentences: what differs between the groups, and what goes with cognition or tells the
    groups apart. Made from the tables; where nothing was found they say so."""
    return [_difference(results), _association(results)]


def _difference(results: Results) -> str:
    table, alpha = results["comparison"], results.settings["alpha"]
    tested = table[table["p"].notna()]
    if not len(tested):
        return "No metric could be compared between groups; the tables say why."
    found = tested[tested["p_fdr"] < alpha]
    groups = _listed(results.groups)
    if not len(found):
        return (
            f"None of the {len(tested)} metrics differed between {groups} after correction for the "
            f"false-discovery rate (smallest corrected {p_equals(tested['p_fdr'].min())})."
        )
    best = found.sort_values(["p", "effect"], ascending=[True, False]).iloc[0]
    part = results["groups"]
    part = part[(part["metric"] == best["metric"]) & (part["n"] > 0)].set_index("group")
    which = "mean" if best["test"] == "ANCOVA" else "median"
    values = _listed([f"{number(part.loc[g, which])} in {g}" for g in results.groups
                      if g in part.index])  # fmt: skip
    return (
        f"{len(found)} of {len(tested)} metrics differed between {groups} after correction for the "
        f"false-discovery rate, most clearly {_lower(label(best['metric']))}: unadjusted {which} "
        f"{values} ({best['test']}, corrected {p_equals(best['p_fdr'])}, "
        f"{best['effect_name'].replace('2', '²')} {number(best['effect'], 2)}, "
        f"95 % CI {number(best['effect_low'], 2)} to {number(best['effect_high'], 2)})."
    )


def _association(results: Results) -> str:
    table = results["correlations"]
    table = table[(table["group"] == WHOLE) & table["r"].notna()]
    beyond = " beyond the covariates" if results.plan["covariates"] else ""
    sentence = "No correlation of a metric with a score could be computed"
    if len(table):
        sentence = (
            f"No metric was related to a cognitive score{beyond} after correction for the "
            "false-discovery rate"
        )
    found = table[table["p_fdr"] < results.settings["alpha"]]
    if len(found):
        best = found.loc[found["r2"].idxmax()]
        sign = "higher" if best["r"] > 0 else "lower"
        kind = "partial " if results.plan["covariates"] else ""
        sentence = (
            f"{_upper(label(best['x']))} went with {sign} {label(best['y'])}{beyond} "
            f"({kind}{best['method'].capitalize()} r = {best['r']:.2f}, 95 % CI "
            f"{number(best['r_low'], 2)} to {number(best['r_high'], 2)}, n = {best['n']:.0f}, "
            f"corrected {p_equals(best['p_fdr'])})"
        )
    return f"{sentence}; {_apart(results)}."


def _apart(results: Results) -> str:
    """The pair of groups that imaging tells apart best, if it tells any apart."""
    pairs = {f"{a} vs {b}" for a in results.groups for b in results.groups}
    auc = results["discrimination"]
    auc = auc[auc["auc"].notna() & (auc["features"] != "demographics")]
    auc = auc[auc["contrast"].isin(pairs)]
    if not len(auc):
        return "whether imaging tells the groups apart could not be examined"
    auc = auc[auc["auc_low"] > 0.5]
    if not len(auc):
        return "imaging told no pair of groups apart better than chance"
    best = auc.loc[auc["auc"].idxmax()]
    return (
        f"the pair of groups that imaging told apart best was {best['contrast']} "
        f"({best['features']}, cross-validated AUC {best['auc']:.2f}, 95 % CI "
        f"{best['auc_low']:.2f} to {best['auc_high']:.2f})"
    )


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _lower(text: str) -> str:
    return text if text[:2].isupper() else text[0].lower() + text[1:]


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]


def who(results: Results) -> list[str]:
    """Who is in and who is out, in sentences."""
    sizes = results["analysed"]["group"].value_counts()
    counts = _listed([f"{sizes.get(g, 0)} {g}" for g in results.groups]) if results.groups else "0"
    lines = [f"{len(results['analysed'])} subjects were analysed: {counts}."]
    out = flow(results)["out"]
    if out:
        why = _listed([f"{n} because of: {reason}" for n, reason in out])
        lines.append(f"{sum(n for n, _ in out)} subject-sessions were not: {why}.")
    partly = _partly(results)
    if partly:
        lines.append(f"Of the analysed, {partly} lack metrics that raters rejected.")
    elsewhere = [line for lines in missed(results).values() for line in lines]
    notes = [f"{_upper(note)}." for note in results.notes]
    return lines + [note for note in notes if note not in elsewhere]


def _partly(results: Results) -> int:
    """How many analysed subject-sessions are listed with a reason too: they lost some metrics."""
    return len(_whom(results["analysed"]) & _whom(results["left_out"]))


def _whom(table: pd.DataFrame) -> set[tuple[str, str]]:
    """The subject-sessions of a table; "" for no session."""
    return set(table[IDENTITY].fillna("").itertuples(index=False, name=None))


def flow(results: Results) -> dict:
    """Who was in and out, for a flow chart: ``total`` subject-sessions, ``out`` (number, reason) of
    those that are not analysed, and ``groups`` (name, number) of those that are."""
    inside = _whom(results["analysed"])
    reasons: dict[tuple, str] = {}
    for row in results["left_out"].fillna("").itertuples(index=False):
        who = (row.participant_id, row.session_id)
        if who not in inside:  # some stay with what a rater has not rejected
            reasons.setdefault(who, row.reason)
    counts = Counter(reasons.values())
    sizes = results["analysed"]["group"].value_counts()
    return {
        "total": len(inside) + len(reasons),
        "out": [(n, reason) for reason, n in counts.most_common()],
        "analysed": len(inside),
        "groups": [(group, int(sizes.get(group, 0))) for group in results.groups],
    }


def missed(results: Results) -> dict[str, list[str]]:
    """What could not be examined, in sentences, by the section of the report that lacks it."""
    absent, plan = set(results.plan["absent"]), results.plan
    found: dict[str, list[str]] = {}

    def say(section: str, names: list[str], what: str) -> None:
        if names:
            listed = "; ".join(short_label(name) for name in names)
            found.setdefault(section, []).append(f"Not in the table, and so not {what}: {listed}.")

    lacking = [m for m in results.settings["metrics"] if m in absent]
    kinds = {"Enlarged perivascular spaces": "epvs_", "ALPS": "alps_"}
    for section, prefix in kinds.items():
        say(section, [m for m in lacking if m.startswith(prefix)], "compared")
    say("Other metrics", [m for m in lacking if not m.startswith(("epvs_", "alps_"))], "compared")
    say("Cognition", [s for s in results.settings["scores"] if s in absent], "examined")
    if results.metrics("alps_") and plan["scores"] and not len(results["alps_beyond_ratio"]):
        found.setdefault("Cognition", []).append(
            "Whether ALPS says more than the eigenvalue ratio of its regions could not be "
            "examined: the table has no such ratio (columns alps_l2_l3_left, _right, _mean)."
        )
    notes = [f"{_upper(n)}." for n in said_sets(plan["sets"], results.settings["features"])]
    return found | ({"Telling the groups apart": notes} if notes else {})


def methods(results: Results, imaging: dict | None, software: dict[str, str]) -> list[str]:
    """Paragraphs to paste into a paper. ``imaging``: the configuration that made the metrics, None
    for a table that was made elsewhere."""
    settings, plan = results.settings, results.plan
    covariates = [_lower(label(c).split(",")[0]) for c in plan["covariates"]]
    covariates = _listed(covariates or ["none"])
    found = []
    if imaging:
        found.append(_imaging(imaging))
    else:
        found.append("Metrics were taken from a table; their making is not described here.")
    rule = {
        "auto": "by analysis of covariance (ordinary least squares, type II sums of squares) where "
        "its residuals were normal by the Shapiro-Wilk test, otherwise by the Kruskal-Wallis test",
        "ancova": "by analysis of covariance (ordinary least squares, type II sums of squares)",
        "kruskal": "by the Kruskal-Wallis test",
    }[settings["test"]]
    method = settings["correlation"].capitalize()
    found.append(
        f"Groups were compared {rule}. Covariates were {covariates}. Pairs of groups were compared "
        "by contrasts of the adjusted means, or by Dunn's test, with Bonferroni's correction; over "
        "the metrics the false-discovery rate was controlled. Effect sizes are partial eta squared "
        "(interval by the noncentral F distribution) and epsilon squared (bootstrap interval). "
        "Demographics were compared by one-way analysis of variance or the Kruskal-Wallis test, "
        "categories by the chi-square test without continuity correction or, where expected "
        "counts were small, the Fisher-Freeman-Halton test."
    )
    found.append(
        f"Metrics were related to {_listed([label(s) for s in plan['scores']] or ['scores'])} by "
        f"{method} partial correlation given the covariates, ALPS to perivascular spaces by "
        "Spearman correlation, plain and partial."
    )
    moderators = [_lower(label(m).split(",")[0]) for m in plan["moderators"]]
    if len(results["regression"]):
        found.append(
            "Scores were regressed on each metric by linear models with the metric alone, with the "
            "covariates, and with the groups too; collinearity was judged by the metric's variance "
            "inflation, influence by Cook's distance, with the coefficient repeated without "
            "subjects above 4 / n. Moderation was tested by interactions of the metric with "
            f"{_listed(moderators or ['nothing'])}."
        )
    if results["counts"]["rate_ratio"].notna().any():
        found.append(
            "Numbers of perivascular spaces were compared as counts too, by negative binomial "
            "regression (Poisson where they scattered no more) on groups and covariates, with "
            "rate ratios, Wald intervals by Student's t, an F test of the groups, and the "
            "dispersion of the moments, which in small cohorts the likelihood falls short of."
        )
    if results["mediation"]["beta"].notna().any():
        found.append(
            "Mediation was decomposed by linear models given the covariates; the indirect path has "
            "percentile intervals of 5,000 bootstrap resamples of the subjects."
        )
    if results["markers"]["auc"].notna().any():
        found.append(
            "Single metrics told pairs of groups apart by the area under the ROC curve of the "
            "cohort itself, with DeLong's variance for intervals, tests against 0.5 and "
            "comparisons of areas, and Youden's cut."
        )
    found.append(
        "Groups were discriminated by logistic regression with an L2 penalty "
        f"(C = {settings['regularisation']:g}) on standardised features, in {settings['repeats']} "
        f"times repeated stratified cross-validation with at most {settings['folds']} folds; "
        "everything was fitted inside the folds. Intervals and differences of the AUC are by the "
        "resampled t test corrected for overlapping training sets"
        + (
            f", P by {settings['permutations']} permutations of the groups"
            if settings["permutations"]
            else ""
        )
        + f". P below {settings['alpha']:g} is called significant."
    )
    changes = results["longitudinal"]
    if changes["estimate"].notna().any():
        years = changes["term"].eq("year").any()
        time = "in years" if years else "as the session's number, since no dates tell the years"
        found.append(
            "Change over sessions was modelled by linear mixed models with a random intercept per "
            f"subject (restricted maximum likelihood, Wald tests); time entered {time}, and age as "
            "that of the first session."
        )
    if settings["site"] == "combat":
        found.append(
            "Metrics were harmonised over sites by ComBat with groups and covariates preserved, "
            "except for the discrimination of groups, which saw them as measured, and for counts "
            "and mixed models, which hold the sites as covariates instead."
        )
    versions = ", ".join(f"{name} {version}" for name, version in software.items())
    found.append(f"Software: {versions}.")
    return found


OWN_PROGRAM = "a program of our own choice (its command line is in the sidecars)"


def _not_counted(csf_likeness: float) -> str:
    """What is left out of the automatic counts beside lesions."""
    walls = (
        " Of what was found automatically, objects along the walls of ventricles and sulci or in "
        "the aqueduct were not counted"
    )
    unlike = (
        ", nor, where there was a T2w, objects that went less than "
        f"{csf_likeness:g} times as far from white matter's signal to that of CSF on T1w as on T2w "
        "(less where the T1w was the blurrier image)"
    )
    return walls + (unlike if csf_likeness else "") + "."


def _lesions(epvs: dict) -> str:
    """What marked the lesions that perivascular spaces were not counted in, the first that a
    subject had."""
    marked = ["masks of our own"] if epvs["lesion_mask"] else []
    if epvs["lesion_command"]:
        marked.append(OWN_PROGRAM)
    marked.append(
        "a threshold on FLAIR (white matter brighter than its median by "
        f"{epvs['flair_deviations']:g} robust standard deviations), where a subject had one"
    )
    return f" White-matter lesions were excluded by {', else by '.join(marked)}."


def _imaging(config: dict) -> str:
    anat, epvs, dwi, alps = (config[k] for k in ("anat", "epvs", "dwi", "alps"))
    brain = {"deepbet": "deepbet", "vbnet": "a 3D VB-Net", "bet": "BET", "fsl_bet": "BET (FSL)",
             "provided": "masks that were provided"}  # fmt: skip
    carried = {"ants": "ANTs SyN", "fsl": "FSL FNIRT"}[anat["registration"]["engine"]]
    regions = {"atlas": f"an atlas carried over by {carried}", "vbnet": "a 3D VB-Net",
               "provided": "labels that were provided"}  # fmt: skip
    engines = {
        "vbnet": "2D VB-Nets on T1w and T2w", "frangi": "Frangi's filter on T1w and T2w",
        "provided": "masks that were provided",
        "command": OWN_PROGRAM,
    }  # fmt: skip
    first = (
        f"T1-weighted images were corrected for bias (N4), the brain was extracted by "
        f"{brain[anat['brain']]}, the template was registered by {carried}, and tissues were "
        "segmented by ANTs Atropos."
    )
    if epvs["engine"] != "none":
        regions_of = legend.definitions()["regions"]
        total = [regions_of[name]["label"].lower() for name in epvs["total"]]
        first += (
            f" Perivascular spaces were segmented by {engines[epvs['engine']]} at 1 mm; objects "
            "shorter than 2 mm were dropped; basal ganglia, midbrain and the white matter above "
            f"the basal ganglia came from {regions[epvs['regions']]}, and the roof of each "
            "subject's own lateral ventricles divided the latter into centrum semiovale above and "
            f"deep white matter below. Totals are of {_listed(total)}."
        )
    if epvs["engine"] == "vbnet":
        first += (
            " Volumes are sums of the shares of voxels that the network gives; they are steadier "
            "than counts, which depend more on noise and sharpness of the scans."
        )
    if epvs["engine"] in ("vbnet", "frangi", "command"):
        first += _not_counted(epvs["csf_likeness"])
    if epvs["engine"] != "none":
        first += _lesions(epvs)
    denoised = " denoised (Marchenko-Pastur PCA)," if dwi["denoise"] == "mppca" else ""
    unrung = " freed from Gibbs ringing," if dwi["unring"] else ""
    moved = {
        "ants": "corrected for motion and eddy currents (ANTs) with rotated gradients",
        "series": "corrected for motion and eddy currents (least squares within the series, ANTs "
        "between its contrasts) with rotated gradients",
        "dipy": "corrected for motion and eddy currents (DIPY) with rotated gradients",
        "eddy": "corrected for motion and eddy currents (FSL eddy) with rotated gradients",
        "eddy_correct": "corrected for motion and eddy currents (FSL eddy_correct) with rotated "
        "gradients",
        "none": "not corrected for motion",
    }[dwi["motion"]]
    fitted = {"dipy": "DIPY", "dtifit": "FSL dtifit"}[dwi["tensor"]]
    bent = {
        "auto": "with a reverse-phase image where there was one",
        "reverse": "with a reverse-phase image",
        "t1w": "by registration to the T1w along the phase-encoding axis",
        "none": "nowhere",
    }[dwi["distortion"]]
    sought = {
        "fixed": "",
        "adaptive": f" and moved by up to {alps['search_mm']:g} mm to where their tracts were most "
        "pure, anisotropic and homogeneous",
    }[alps["placement"]]
    axes = {
        "pas": "every voxel's own principal",
        "ld": "each voxel's fibre and the other region's (LD-ALPS)",
    }.get(alps["axes"], alps["axes"])
    return first + (
        f" Diffusion series were{denoised}{unrung} {moved}; susceptibility distortion was "
        f"corrected {bent}. A tensor was fitted by weighted least squares to b up to "
        f"{dwi['b_max']} s/mm² ({fitted}). The ALPS index was taken from four spheres "
        f"({alps['rois']}) carried to the subject by one composed transform{sought}, in "
        f"{axes} axes."
    )


def citations(results: Results, imaging: dict | None) -> list[str]:
    """References of what was used."""
    unused = set()
    if not imaging or not fsl.engines(imaging):
        unused.add("FSL")
    if not imaging:
        unused |= {"VB-Net", "deepbet", "ANTs", "N4", "DIPY", "MONAI"}
    elif "vbnet" not in (imaging["anat"]["brain"], imaging["epvs"]["engine"],
                         imaging["epvs"]["regions"]):  # fmt: skip
        unused |= {"VB-Net", "MONAI"}
    if imaging and imaging["anat"]["brain"] != "deepbet":
        unused.add("deepbet")
    if results.settings["site"] != "combat":
        unused.add("ComBat")
    if not results["markers"]["auc"].notna().any():
        unused.add("DeLong")
    if not results["mediation"]["beta"].notna().any():
        unused.add("mediation")
    return [words for name, words in CITATIONS.items() if name not in unused]


PRINTED = re.compile(
    r"(?P<author>[^.]+?)\. (?P<journal>.+?) (?P<year>\d{4})"
    r"(;(?P<volume>\d+)(\((?P<number>\d+)\))?:(?P<pages>[\d-]+))?(\. doi:(?P<doi>\S+))?"
)


def bibtex(lines: list[str]) -> str:
    """The references ``lines`` of `citations` as BibTeX; titles come with the DOI."""
    entries = []
    for line in lines:
        found = {k: v for k, v in PRINTED.fullmatch(line).groupdict().items() if v}
        names = [name.strip() for name in found["author"].split(",")]
        found["author"] = " and ".join("others" if n == "et al" else n for n in names)
        found["pages"] = found.get("pages", "").replace("-", "--")
        key = f"{names[0].split()[0].lower()}{found['year']}"
        fields = "".join(f"  {name} = {{{value}}},\n" for name, value in found.items() if value)
        entries.append(f"@article{{{key},\n{fields}}}\n")
    return "\n".join(entries)
