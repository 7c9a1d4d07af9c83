"""Who is analysed: groups in order, one session per subject, covariates and metrics as numbers."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from glymph.common.cells import find_column, limits_of, near_columns, one_spaced, read_cell
from glymph.common.errors import BadInput, brief, short
from glymph.common.names import ALPS_AXES, HEMISPHERES, PLACEMENTS, RATIO, alps_version
from glymph.common.registry import Metric, metrics, severity, variables
from glymph.common.tables import AS_UTF_8, MISSING, NoTextError, decoded
from glymph.stats.sessions import NUMBER, YEARS, Order, choose, order

CODES, FAR = (99, 999, 9999, 99999, 88, 888, 8888), 20
"""Numbers that studies write for "missing", and how far above the plausible they give it away."""
MAYBE_CODES = (*CODES, 9.99, 99.9, 99.99, 999.9, -9, -88, -99, -888, -999, -8888, -9999)
"""Such numbers in columns of which nothing is known."""
FAR_OFF = 6.0
"""Robust standard deviations from the median beyond which such a number stands alone; it lies twice
as far out as any other value too."""
SPELLED = ({"m", "male"}, {"f", "female"})
"""Words that mean one sex."""
LEAST_OTHERS = 5
"""Values without which nothing is said of what is far from them."""
NAMING = ("metrics", "scores", "covariates", "categorical", "moderators")
"""Lists of columns among the settings; `features` and `mediation` hold names too."""
MOST_CELLS = 10
"""Of one column that notes name one by one."""
WHOLE = "all"
"""Stands for the whole cohort where groups are listed; no group may be called so."""
IDENTITY = ["participant_id", "session_id"]
IDENTITIES = {name: name for name in IDENTITY}
PARTS = ("bg", "cso", "midbrain", "dwm")
CHOICES = {
    "ALPS": [
        [f"alps_{alps_version(placement, axes)}_{end}" for end in ends]
        for ends in (HEMISPHERES, ("mean",))
        for placement, axes in product(PLACEMENTS, ALPS_AXES)
    ],
    "EPVS": [
        [f"epvs_{part}_{what}" for part in parts]
        for parts in (PARTS, ("total",))
        for what in ("volume_mm3", "fraction_brain", "fraction_region", "count")
    ],
}
"""Columns that a set of features takes where the table has none of those configured, best first."""
COMMON = 0.8
"""Share of subjects who have such a column: all sets are compared in who has all of them."""
TIMES = [NUMBER, YEARS]
CARRIED = ["group", "flags", "site", *TIMES]
"""Columns that are kept as text where the table has them."""
MADE_BY = {
    "epvs_": ("epvs_input", "epvs_lesions"),
    "alps_": ("registration", "dwi_distortion"),
}
"""Columns that tell how metrics of these names were measured; what was not measured alike does not
compare."""


@dataclass(frozen=True)
class Plan:
    """What is analysed: the ``stats`` part of the configuration, settled against a table.

    ``metrics``, ``scores`` and ``covariates`` name columns that the table has, ``absent`` those
    that it lacks, ``also`` further metrics of sensitivity analyses, feature sets and mediation.
    ``sets`` are the columns of each set of features (`feature_sets`), ``moderators`` columns of
    people that may change what a metric has to do with a score, "group" among them, ``others``
    numbers of mediation that are no metrics of this workflow. ``basis`` says what put the groups in
    order; "" where the configuration did.
    """

    groups: list[str]
    metrics: list[str]
    scores: list[str]
    covariates: list[str]
    categorical: list[str]
    absent: list[str] = field(default_factory=list)
    also: list[str] = field(default_factory=list)
    sets: dict[str, list[str]] = field(default_factory=dict)
    moderators: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    basis: str = ""

    def beside(self, *names: str) -> list[str]:
        """The covariates without ``names``: nothing is adjusted for itself."""
        return [name for name in self.covariates if name not in names]

    @property
    def columns(self) -> list[str]:
        """Columns that enter the analyses, each once."""
        named = [*self.scores, *self.covariates, *self.metrics, *self.also]
        named += [*self.moderators, *self.others]
        return [name for name in dict.fromkeys(named) if name != "group"]


@dataclass(frozen=True)
class Cohort:
    """``frame`` has a row per analysed subject, ``everything`` one per usable subject-session, with
    its number and years since the subject's first; ``left_out`` says who is missing and why,
    ``notes`` what was decided, ``order`` what told the order of sessions, or why nothing did."""

    frame: pd.DataFrame
    everything: pd.DataFrame
    plan: Plan
    left_out: list[dict]
    notes: list[str]
    order: Order


def read(path: str | Path, columns: dict[str, str | None]) -> pd.DataFrame:
    """A table of metrics (TSV, or CSV by its ending) with the workflow's names for its columns.

    ``columns`` maps the participants' variables to the table's columns, compared without regard to
    case; a table of this workflow has the variables' names already. All cells are text, without
    spaces around or doubled inside. Raises `BadInput` for what is no such table, and for a column
    that is called otherwise than its variable, so that somebody configured it, and is not there.
    """
    path = Path(path)
    separator = "," if path.suffix.lower() == ".csv" else "\t"
    frame = _cells(path, separator).map(_tidy)
    header = list(frame)
    found = {n: find_column(header, c) for n, c in {**IDENTITIES, **columns}.items() if c}
    absent = [n for n, c in columns.items() if c and not found[n] and n not in (c, *header)]
    if absent:
        near = near_columns(header, variables()[absent[0]], columns[absent[0]])
        hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(header)}"
        raise BadInput(
            f"participants.columns.{absent[0]} is '{columns[absent[0]]}', and the table has no "
            f"such column; {short(hint, 200)}", str(path), "correct participants.columns",
        )  # fmt: skip
    renamed = {c: n for n, c in found.items() if c and c != n}
    frame = frame.drop(columns=[n for n in renamed.values() if n in frame]).rename(columns=renamed)
    if "participant_id" not in frame:
        raise BadInput(
            "the table has no column participant_id", str(path),
            "name the column of subjects participant_id",
        )  # fmt: skip
    if frame["participant_id"].isna().any():
        raise BadInput(
            f"{frame['participant_id'].isna().sum()} rows have no participant_id", str(path),
            "fill it in, or remove the rows",
        )  # fmt: skip
    if "session_id" not in frame:
        frame["session_id"] = None
    same_people = frame[IDENTITY].apply(lambda c: c.str.replace("^(sub|ses)-", "", regex=True))
    twice = same_people.duplicated()
    if twice.any():
        first = short(" ".join(str(v) for v in frame.loc[twice, IDENTITY].iloc[0] if v == v and v))
        raise BadInput(
            f"{first} is in the table {'twice' if twice.sum() == 1 else 'more than once'}",
            str(path), "keep one row per subject and session",
        )  # fmt: skip
    return frame


def _cells(path: Path, separator: str) -> pd.DataFrame:
    """The table's text. The header is read as a row: pandas takes surplus cells of the others for
    an index, which shifts all columns, and renames columns of one name."""
    cure = "give a TSV, or a CSV ending in .csv, with a header line, in UTF-8"
    try:
        text = io.StringIO(decoded(path.read_bytes()), newline="")
        frame = pd.read_csv(text, sep=separator, header=None, dtype=str, keep_default_na=False)
    except NoTextError as error:
        raise BadInput(f"this table cannot be read ({error})", str(path), AS_UTF_8) from None
    except (OSError, ValueError) as error:
        raise BadInput(f"this table cannot be read ({brief(error)})", str(path), cure) from None
    names = pd.Index([one_spaced(name) for name in frame.iloc[0]])
    frame = frame.iloc[1:].set_axis(names, axis=1).reset_index(drop=True).loc[:, names != ""]
    twice = short(", ".join(frame.columns[frame.columns.duplicated()].unique()))
    if twice:
        raise BadInput(f"two columns are called {twice}", str(path), "rename one of them")
    return frame


def _tidy(cell: str) -> str | None:
    cell = one_spaced(cell)
    return None if cell.lower() in MISSING else cell


def opened(
    path: str | Path, columns: dict[str, str | None], settings: dict, ranges: dict
) -> tuple[pd.DataFrame, dict, list[str]]:
    """A table ready for `settle`: (`read`, with its metrics by name, and `cleaned`; the
    ``settings`` `as_called` in it; notes). Raises `BadInput`."""
    frame = metrics_by_name(read(path, columns))
    settings, called = as_called(settings, frame)
    frame, cells = cleaned(frame, names_in(settings, frame), ranges)
    return frame, settings, [*called, *cells]


def metrics_by_name(frame: pd.DataFrame) -> pd.DataFrame:
    """``frame`` with the registry's names for metrics that a table writes in another case."""
    wanted = {find_column(list(frame), name): name for name in metrics() if name not in frame}
    return frame.rename(columns={old: new for old, new in wanted.items() if old})


def as_called(settings: dict, frame: pd.DataFrame) -> tuple[dict, list[str]]:
    """``settings`` with the names of columns as ``frame`` has them, whatever their case, and notes.

    Columns of variables and metrics are called as these are (`read`, `metrics_by_name`), however
    the configuration writes them: so their range, kind and role hold. Names that nothing fits stay.
    """
    notes = {}

    def called(name: str) -> str:
        found = find_column(list(frame), name)
        if found != name:  # a column of one's own that is called just so keeps its name
            found = find_column([v for v in variables() if v in frame], name) or found
        if found and found != name:
            notes[name] = f"{name} is taken as the table's column {found}"
        return found or name

    changed = {k: [called(n) for n in settings[k]] for k in NAMING if k in settings}
    if "features" in settings:
        changed["features"] = {k: [called(n) for n in v] for k, v in settings["features"].items()}
    if "mediation" in settings:
        changed["mediation"] = [
            {role: called(n) for role, n in triple.items()} for triple in settings["mediation"]
        ]
    return {**settings, **changed}, list(notes.values())


def names_in(settings: dict, frame: pd.DataFrame) -> list[str]:
    """The columns that ``settings`` (`as_called`) name and those that stand in for them, each
    once."""
    sets = feature_sets(settings["features"], frame)
    named = [settings[k] for k in NAMING if k != "categorical"]
    named += [list(triple.values()) for triple in settings["mediation"]]
    named += [*settings["features"].values(), *sets.values()]
    return list(dict.fromkeys(name for names in named for name in names))


def cleaned(frame: pd.DataFrame, wanted: list[str], ranges: dict) -> tuple[pd.DataFrame, list[str]]:
    """``frame`` without values of the ``wanted`` columns and of `registry.variables` that cannot
    be, and notes on them.

    ``ranges`` replaces the registry's. Raises `BadInput` for a variable that is a number of which
    no value is one.
    """
    frame, notes = frame.copy(), []
    comma = [n for n in wanted if n in frame and _comma(frame[n])]
    if comma:
        raise BadInput(f"column {comma[0]} has numbers with a comma", "", "write them with a point")
    for name in (n for n in wanted if n in frame and n not in variables()):
        notes += _without_codes(frame, name, metrics().get(name))
    for name, variable in variables().items():
        if name not in frame:
            continue
        limits = limits_of(name, ranges)
        cells = frame[name].map(lambda text, v=variable, m=limits: read_cell(text or "", v, m))
        values = [cell.value for cell in cells]
        if variable.range and frame[name].notna().any() and not any(v is not None for v in values):
            first = frame[name].dropna().iloc[0]
            raise BadInput(
                f"column {name} holds no number that can be one: '{short(first)}' and so on", "",
                "write numbers with a point, or set participants.columns to another column",
            )  # fmt: skip
        said = [f"{frame.loc[i, 'participant_id']}: {name} {cell.problem}"
                for i, cell in cells.items() if cell.problem]  # fmt: skip
        if name == "sex":
            values, folded = _one_word_each(values)
            said += folded
        notes += _at_most(said, name) + _spellings(name, values)
        texts = [v if isinstance(v, str) or v is None else f"{v:.10g}" for v in values]
        frame[name] = pd.Series(texts, frame.index, dtype=object)
    return frame, notes


def _at_most(said: list[str], name: str) -> list[str]:
    more = [f"{name}: {len(said)} cells in all"] if len(said) > MOST_CELLS else []
    return said[:MOST_CELLS] + more


def _one_word_each(values: list) -> tuple[list, list[str]]:
    """``values`` of sex with one word for each, the commonest, and a note where several meant one
    (M, Male): they would be categories of their own."""
    notes = []
    for meant in SPELLED:
        words = [v for v in values if isinstance(v, str) and v.lower() in meant]
        kinds = sorted(set(words))
        if len(kinds) > 1:
            chosen = max(kinds, key=words.count)
            notes.append(f"sex: {', '.join(kinds)} are taken as {chosen}")
            values = [chosen if v in kinds else v for v in values]
    return values, notes


def _without_codes(frame: pd.DataFrame, name: str, metric: Metric | None) -> list[str]:
    """Take values out of a column, in place, that stand for "missing"; notes on them.

    Of a ``metric``: negative where none can be, an ALPS index of 0, 99, 999 ... far above what is
    plausible. Of this and of any other column: such numbers that lie far from all others. Raises
    `BadInput` for a metric of words alone.
    """
    text = frame[name].copy()
    numbers = pd.to_numeric(text, errors="coerce")
    low, high = metric.plausible if metric else (None, None)
    if metric and text.notna().any() and numbers.isna().all():
        raise BadInput(
            f"column {name} holds no number: '{short(text.dropna().iloc[0])}' and so on", "",
            "write numbers with a point, or take the metric out of stats.metrics",
        )  # fmt: skip
    wrong = _far_from_others(numbers) & (numbers > (high if high is not None else -np.inf))
    if low is not None and low >= 0:
        wrong |= numbers < 0
    if metric and metric.stage == "alps" and low is not None and low > 0:
        wrong |= numbers == 0  # a ratio of diffusivities
    if high is not None:
        wrong |= numbers.isin(CODES) & (numbers > FAR * high)
    frame.loc[wrong, name] = None
    said = [
        f"{frame.loc[i, 'participant_id']}: {name} is {text[i]}, which cannot be; taken as missing"
        for i in frame.index[wrong]
    ]
    return _at_most(said, name)


def _far_from_others(numbers: pd.Series) -> pd.Series:
    """Which ``numbers`` are of `MAYBE_CODES` and lie by themselves (bool).

    Negative ones where nothing else is negative; otherwise beyond `FAR_OFF` and twice as far out as
    all that are no such numbers.
    """
    maybe = numbers.isin(MAYBE_CODES)
    others = numbers[~maybe & np.isfinite(numbers)]
    if len(others) < LEAST_OTHERS:
        return maybe & False
    middle = others.median()
    spread = 1.4826 * (others - middle).abs().median()
    alone = (numbers - middle).abs() > FAR_OFF * spread
    alone &= np.where(numbers > 0, numbers > 2 * others.max(), numbers < 2 * min(others.min(), 0))
    return maybe & ((others.min() >= 0) & (numbers < 0) | alone)


def without_rejected(
    frame: pd.DataFrame, rejected: list[dict]
) -> tuple[pd.DataFrame, dict[int, list[str]]]:
    """``frame`` without the values that raters rejected, and why, by row.

    ``rejected``: rows of group/rejected.tsv. All metrics of the stages that an item ``leaves``
    become missing in that subject-session's row; other rows, and columns that are no metrics, stay.
    Tables made elsewhere may have ids without ``sub-`` and ``ses-``.
    """
    frame, reasons = frame.copy(), {}
    who = [_bare(p, s) for p, s in frame[IDENTITY].itertuples(index=False)]
    for entry in rejected:
        wanted = _bare(entry["participant_id"], entry["session_id"])
        own = pd.Series([name == wanted for name in who], frame.index, dtype=bool)
        stages = entry["leaves"].split(",")
        leaving = [n for n in frame if n in metrics() and metrics()[n].stage in stages]
        frame.loc[own, leaving] = None
        said = f": {entry['reason']}" if entry["reason"] else ""
        for row in frame.index[own]:
            text = f"{entry['item']} rejected by {entry['raters']}{said}"
            reasons.setdefault(row, []).append(text)
    return frame, reasons


def _bare(participant: str, session: str | None) -> tuple[str, str]:
    """The labels of a row, "" for no session."""
    label = session.removeprefix("ses-") if isinstance(session, str) else ""
    return participant.removeprefix("sub-"), label


def settle(frame: pd.DataFrame, settings: dict, groups: list[str]) -> Plan:
    """The plan for ``frame``: groups in the configured order, else as in ``groups``, else from
    healthy to ill (`by_severity`), and the configured columns that exist.

    Covariates, scores and features without a single value count as absent. Raises `BadInput` for a
    table without groups and for configured groups that nobody belongs to.
    """
    wanted, basis = _groups(frame, settings, groups)
    filled = [name for name in frame if frame[name].notna().any()]
    kinds = ("metrics", "scores", "covariates", "moderators")
    wishes = {k: list(dict.fromkeys(settings[k])) for k in kinds}
    if settings["site"] == "covariate" and "site" not in wishes["covariates"]:
        wishes["covariates"].append("site")
    columns = {k: [n for n in names if n in filled] for k, names in wishes.items()}
    columns["metrics"] = [n for n in wishes["metrics"] if n in frame]
    sets = feature_sets(settings["features"], frame)
    features = [name for names in sets.values() for name in names]
    absent = [n for k, names in wishes.items() for n in names if n not in columns[k]]
    absent += [n for k, names in settings["features"].items() if set(names) & set(sets[k])
               for n in names if n not in filled]  # fmt: skip
    covariates = columns["covariates"]
    people = dict.fromkeys([*covariates, *(n for n in columns["moderators"] if n != "group")])
    categorical = [
        name
        for name in people
        if name in settings["categorical"] or name == "site" or not _numeric(frame[name])
    ]
    wider = [v for m in columns["metrics"] for v in [*alps_versions(m), ratio_of(m)]] + features
    named = [name for triple in settings["mediation"] for name in triple.values()]
    wider += [name for name in named if name in metrics()]
    known = {n for names in columns.values() for n in names}
    also = [n for n in dict.fromkeys(wider) if n in filled and n not in known]
    others = [n for n in dict.fromkeys(named) if n in filled and n not in {*known, *also}]
    return Plan(
        groups=wanted,
        metrics=columns["metrics"],
        scores=columns["scores"],
        covariates=covariates,
        categorical=categorical,
        absent=list(dict.fromkeys(absent)),
        also=also,
        sets=sets,
        moderators=columns["moderators"],
        others=others,
        basis=basis,
    )


def feature_sets(wished: dict[str, list[str]], frame: pd.DataFrame) -> dict[str, list[str]]:
    """Columns of each set of features: those of ``wished`` that have values in the table.

    Where none has, the sets ALPS and EPVS take what most subjects have of their kind: ALPS of both
    sides in one version, else the mean; volumes of the regions, else fractions, else numbers, else
    those of all regions. A set that nothing is left for is empty.
    """
    share = frame.notna().mean()
    common = [name for name in frame if share[name] >= COMMON]
    return {
        name: [c for c in dict.fromkeys(names) if c in frame and share[c] > 0]
        or _of_kind(name, common)
        for name, names in wished.items()
    }


def _of_kind(name: str, common: list[str]) -> list[str]:
    for choice in CHOICES.get(name, ()):
        have = [column for column in choice if column in common]
        if len(have) == len(choice) or (have and name == "EPVS"):  # never ALPS of one side
            return have
    return []


def said_sets(sets: dict[str, list[str]], wished: dict[str, list[str]]) -> list[str]:
    """Which of the ``sets`` (`feature_sets`) have other columns than was ``wished``, or none."""
    found = []
    for name, have in sets.items():
        lacking = f"the table has no {' or '.join(wished[name])}"
        if not have:
            found.append(f"the features {name} could not be used: {lacking}")
        elif not {n.lower() for n in have} & {n.lower() for n in wished[name]}:
            found.append(f"the features {name} are {', '.join(have)}: {lacking}")
    return found


def _groups(frame: pd.DataFrame, settings: dict, allowed: list[str]) -> tuple[list[str], str]:
    """The groups in order, and what put them so where the configuration did not."""
    if "group" not in frame:
        raise BadInput("the table has no column group", "", "see participants.columns: group")
    present = sorted(frame["group"].dropna().unique())
    unknown = [g for g in settings["groups"] if str(g) not in present]
    if unknown or not present:
        listed = ", ".join(present) or "none"
        raise BadInput(
            f"nobody belongs to group {unknown[0]} (the table has: {listed})" if unknown
            else "nobody has a group", "", "correct stats.groups, or the column group",
        )  # fmt: skip
    if WHOLE in present:
        raise BadInput(
            f"a group is called {WHOLE}, which stands for the whole cohort", "", "rename the group"
        )
    wanted = [str(g) for g in settings["groups"] or allowed]
    if not wanted:
        return by_severity(present, frame)
    return [g for g in dict.fromkeys(wanted) if g in present], ""


def by_severity(present: list[str], frame: pd.DataFrame) -> tuple[list[str], str]:
    """Groups from healthy to ill, and how that is known.

    By their usual names where each has one (`registry.severity`); otherwise controls first, and the
    others by mean MMSE, or by the alphabet where a group has none.
    """
    ranks = {g: severity().get(re.sub("[^a-z0-9]", "", g.lower())) for g in present}
    if None not in ranks.values():
        return sorted(present, key=lambda g: (ranks[g], g)), "by their names, from healthy to ill"
    first = [g for g in present if ranks[g] == 0]
    rest = [g for g in present if g not in first]
    start = "controls first, the others " if first else ""
    means = _numbers(frame["mmse"])[0].groupby(frame["group"]).mean() if "mmse" in frame else {}
    if all(np.isfinite(means.get(g, np.nan)) for g in rest):
        rest = sorted(rest, key=lambda g: (-means[g], g))
        return first + rest, f"{start}by mean MMSE, highest first"
    return first + rest, f"{start}by the alphabet"


def _said_order(plan: Plan) -> list[str]:
    if not plan.basis or len(plan.groups) < 2:
        return []
    listed = ", ".join(plan.groups)
    return [f"groups are in the order {listed}: {plan.basis} (stats.groups sets another)"]


def select(
    frame: pd.DataFrame,
    plan: Plan,
    settings: dict,
    out: dict[str, str],
    rejected: dict[int, list[str]] | None = None,
) -> Cohort:
    """The analysed subjects: those of a group, one session each, numbers as numbers.

    ``out``: who takes no part, and why, by name (participant_id, and _ and session_id where there
    is one). ``rejected``: reasons of `without_rejected`. A row without any metric leaves; one that
    has some left stays with these, and is listed all the same where a rater rejected the others.
    """
    left_out: list[dict] = []

    def leave(rows: pd.Series, reason: str) -> None:
        left_out.extend(
            row | {"reason": reason} for row in frame.loc[rows, IDENTITY].to_dict("records")
        )

    names = frame["participant_id"] + ("_" + frame["session_id"].astype("string")).fillna("")
    excluded = names.isin(list(out))
    for name, reason in out.items():
        leave(names == name, f"{reason} of the configuration")
    no_group = ~excluded & frame["group"].isna()
    leave(no_group, "no group in the table")
    other = ~excluded & ~no_group & ~frame["group"].isin(plan.groups)
    leave(other, "a group that is not analysed (stats.groups)")
    usable = frame[~(excluded | no_group | other)].copy()
    for row, reasons in (rejected or {}).items():
        if row in usable.index:
            empty = usable.loc[row, plan.metrics].isna().all()
            kept = "" if empty else " (the other metrics are analysed)"
            leave(pd.Series(frame.index == row, frame.index), "; ".join(reasons) + kept)
            usable = usable.drop(index=row) if empty else usable
    empty = usable[list(dict.fromkeys([*plan.metrics, *plan.also]))].isna().all(axis=1)
    if plan.metrics:
        leave(pd.Series(frame.index.isin(usable.index[empty]), frame.index), "no metric")
        usable = usable[~empty].copy()
    if not len(usable):
        raise BadInput("nobody can be analysed", "", "see stats.groups and exclude")
    notes = [
        f"{name} is not in the table or has no values, and was left out{_near(name, frame)}"
        for name in plan.absent if name not in settings["metrics"]
    ]  # fmt: skip
    notes += [
        f"{name} holds words and is taken as a category"
        for name in plan.categorical
        if name not in settings["categorical"] and not _numeric(frame[name])
    ]  # fmt: skip
    notes += [
        f"stats.categorical names {name}, and no covariate or moderator is called so"
        for name in settings["categorical"] if name not in {*plan.columns, *variables()}
    ]  # fmt: skip
    for name in plan.columns:
        if name not in plan.categorical:
            usable[name], wrong = _numbers(usable[name])
            notes += [f"{name}: '{value}' is not a number and counts as missing" for value in wrong]
    notes += [*said_sets(plan.sets, settings["features"]), *_said_order(plan)]
    usable["group"] = pd.Categorical(usable["group"], plan.groups, ordered=True)
    ordered = order(usable, settings["sessions"])
    usable[NUMBER], usable[YEARS] = ordered.number, ordered.years
    chosen = choose(usable, settings["session"], ordered)
    several = usable["participant_id"].duplicated(keep=False)
    if several.any():
        notes.append(
            f"{usable.loc[several, 'participant_id'].nunique()} subjects have several sessions; "
            f"the {settings['session']} one is analysed, all of them in the mixed model"
        )
        notes.append(ordered.problem or f"sessions are in order by {ordered.basis}")
    notes += _made_differently(usable[chosen], plan)
    leave(
        pd.Series(frame.index.isin(usable.index[~chosen]), frame.index),
        f"not the session that is analysed (stats.session: {settings['session']})",
    )
    kept = [*IDENTITY, *(c for c in CARRIED if c in usable), *plan.columns]
    usable = usable[list(dict.fromkeys(kept))]
    return Cohort(
        usable[chosen].reset_index(drop=True),
        usable.reset_index(drop=True),
        plan,
        left_out,
        notes,
        ordered,
    )


def _made_differently(rows: pd.DataFrame, plan: Plan) -> list[str]:
    """A note on every column of `MADE_BY` that is not the same for all ``rows`` that have metrics
    of its kind, with how many of each group are of which kind."""
    notes = []
    for start, columns in MADE_BY.items():
        metrics = [name for name in plan.metrics if name.startswith(start)]
        measured = rows[rows[metrics].notna().any(axis=1)]
        for column in columns:
            if column not in measured or measured[column].nunique() < 2:
                continue
            sizes = measured.groupby([column, "group"], observed=False).size().unstack()
            counts = [
                f"{kind} in {row.sum()} ({', '.join(f'{group} {n}' for group, n in row.items())})"
                for kind, row in sizes.iterrows()
            ]
            notes.append(
                f"{start.rstrip('_').upper()} was not measured alike, which may differ between "
                f"groups: {column} is {', '.join(counts)}"
            )
    return notes


def reload(table: str | Path, plan: dict) -> tuple[pd.DataFrame, Plan]:
    """A table of analysed subjects as it was written, and its plan."""
    plan = Plan(**plan)
    frame = read(table, {})
    for name in [*plan.columns, *(c for c in TIMES if c in frame)]:
        if name not in plan.categorical:
            frame[name] = frame[name].astype(float)
    frame["group"] = pd.Categorical(frame["group"], plan.groups, ordered=True)
    return frame, plan


def same_rows(measured: pd.DataFrame, analysed: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``measured`` (all sessions) whose subject-session is in ``analysed``."""
    wanted = pd.MultiIndex.from_frame(analysed[IDENTITY].fillna(""))
    found = pd.MultiIndex.from_frame(measured[IDENTITY].fillna(""))
    return measured[found.isin(wanted)].reset_index(drop=True)


def with_sites(plan: Plan, frame: pd.DataFrame, site: str) -> Plan:
    """The plan for a model of metrics as measured: where ``site`` (`stats.site`) asks for ComBat,
    which this ``frame`` has not been through, sites are covariates instead."""
    if site != "combat" or "site" in plan.covariates or "site" not in frame:
        return plan
    if frame["site"].isna().all():
        return plan
    return replace(plan, covariates=[*plan.covariates, "site"],
                   categorical=[*plan.categorical, "site"])  # fmt: skip


def ratio_of(metric: str) -> str | None:
    """The column of the eigenvalue ratio of the regions and side that an ALPS index is of."""
    placement, _, rest = _version_of(metric)
    if rest not in (*HEMISPHERES, "mean"):
        return None
    return f"alps_{alps_version(placement, RATIO)}_{rest}"


def alps_versions(metric: str) -> list[str]:
    """The metric; ALPS in all its axis versions, and then with its regions placed otherwise."""
    placement, axes, rest = _version_of(metric)
    if not rest:
        return [metric]
    versions = [alps_version(placement, other) for other in ALPS_AXES]
    versions.append(alps_version(_other(placement), axes))
    return [f"alps_{version}_{rest}" for version in versions]


def _version_of(metric: str) -> tuple[str, str, str]:
    """Placement, axes and the rest of the name of an ALPS column; all "" of any other."""
    for placement, axes in product(PLACEMENTS, ALPS_AXES):
        start = f"alps_{alps_version(placement, axes)}_"
        if metric.startswith(start):
            return placement, axes, metric.removeprefix(start)
    return "", "", ""


def _other(placement: str) -> str:
    return PLACEMENTS[1 - PLACEMENTS.index(placement)]


def _spellings(name: str, values: list) -> list[str]:
    """A note on words that differ by case alone: they are other groups."""
    words = {v for v in values if isinstance(v, str)}
    twins = sorted(w for w in words if sum(w.lower() == other.lower() for other in words) > 1)
    return [f"{name}: {short(', '.join(twins))} count as different"] if twins else []


def _near(name: str, frame: pd.DataFrame) -> str:
    """Which columns may be meant by a variable of people that a table lacks."""
    known = variables().get(name)
    near = near_columns(list(frame), known, name) if known and name not in frame else []
    return f" (if {' or '.join(near)} is meant, set participants.columns.{name})" if near else ""


def _comma(column: pd.Series) -> bool:
    """Whether words of a column are numbers with a decimal comma."""
    return bool(column.dropna().str.fullmatch(r"-?\d+,\d+").any())


def _numeric(column: pd.Series) -> bool:
    """Whether any cell is a number: a stray word does not make categories of ages."""
    return bool(pd.to_numeric(column.dropna(), errors="coerce").notna().any())


def _numbers(column: pd.Series) -> tuple[pd.Series, list[str]]:
    """The column as floats, infinite ones missing, and the entries that are no numbers."""
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = column[~np.isfinite(numbers) & column.notna()].unique()
    return numbers.where(np.isfinite(numbers)).astype(float), sorted(map(str, wrong))
