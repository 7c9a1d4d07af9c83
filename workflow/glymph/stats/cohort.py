"""Who is analysed: groups in order, one session per subject, covariates and metrics as numbers."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from glymph.common.errors import BadInput, brief, short
from glymph.common.registry import metrics
from glymph.common.tables import MISSING

WHOLE = "all"
"""Stands for the whole cohort where groups are listed; no group may be called so."""
AXES = ("native", "template", "principal")
IDENTITY = ["participant_id", "session_id"]
CARRIED = ["group", "flags", "site"]
"""Columns that are kept as text where the table has them."""


@dataclass(frozen=True)
class Plan:
    """What is analysed: the ``stats`` part of the configuration, settled against a table.

    ``metrics``, ``scores`` and ``covariates`` name columns that the table has, ``absent`` those
    that it lacks, ``also`` further metrics of sensitivity analyses and feature sets.
    """

    groups: list[str]
    metrics: list[str]
    scores: list[str]
    covariates: list[str]
    categorical: list[str]
    absent: list[str] = field(default_factory=list)
    also: list[str] = field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        """Columns that enter the analyses, each once."""
        return list(dict.fromkeys([*self.scores, *self.covariates, *self.metrics, *self.also]))


@dataclass(frozen=True)
class Cohort:
    """``frame`` has a row per analysed subject, ``everything`` one per usable subject-session;
    ``left_out`` says who is missing and why, ``notes`` what was decided."""

    frame: pd.DataFrame
    everything: pd.DataFrame
    plan: Plan
    left_out: list[dict]
    notes: list[str]


def read(path: str | Path, columns: dict[str, str | None]) -> pd.DataFrame:
    """A table of metrics (TSV, or CSV by its ending) with the workflow's names for its columns.

    ``columns`` maps the participants' variables to the table's columns, where it has these; a table
    of this workflow has the variables' names already. All cells are text, without spaces around or
    doubled inside. Raises `BadInput` for what is no such table.
    """
    path = Path(path)
    separator = "," if path.suffix.lower() == ".csv" else "\t"
    frame = _cells(path, separator).map(_tidy)
    renamed = {c: n for n, c in columns.items() if c and c != n and c in frame}
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
    twice = frame.duplicated(IDENTITY)
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
        content = path.read_bytes()
        if b"\0" in content:
            raise ValueError("it holds NUL bytes")
        frame = pd.read_csv(
            io.BytesIO(content), sep=separator, header=None, dtype=str, keep_default_na=False,
            encoding="utf-8-sig",
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise BadInput(f"this table cannot be read ({brief(error)})", str(path), cure) from None
    names = pd.Index([" ".join(name.split()) for name in frame.iloc[0]])
    frame = frame.iloc[1:].set_axis(names, axis=1).reset_index(drop=True).loc[:, names != ""]
    twice = short(", ".join(frame.columns[frame.columns.duplicated()].unique()))
    if twice:
        raise BadInput(f"two columns are called {twice}", str(path), "rename one of them")
    return frame


def _tidy(cell: str) -> str | None:
    cell = " ".join(cell.split())
    return None if cell.lower() in MISSING else cell


def without_rejected(
    frame: pd.DataFrame, rejected: list[dict]
) -> tuple[pd.DataFrame, dict[int, list[str]]]:
    """``frame`` without the values that raters rejected, and why, by row.

    ``rejected``: rows of group/rejected.tsv. All metrics of the stages that an item ``leaves``
    become missing in that subject-session's row; other rows, and columns that are no metrics, stay.
    """
    frame, reasons = frame.copy(), {}
    for entry in rejected:
        session = entry["session_id"]
        own = frame["participant_id"] == entry["participant_id"]
        own &= frame["session_id"] == session if session else frame["session_id"].isna()
        stages = entry["leaves"].split(",")
        leaving = [n for n in frame if n in metrics() and metrics()[n].stage in stages]
        frame.loc[own, leaving] = None
        said = f": {entry['reason']}" if entry["reason"] else ""
        for row in frame.index[own]:
            text = f"{entry['item']} rejected by {entry['raters']}{said}"
            reasons.setdefault(row, []).append(text)
    return frame, reasons


def settle(frame: pd.DataFrame, settings: dict, groups: list[str]) -> Plan:
    """The plan for ``frame``: groups in the configured order, else as ``groups`` or the alphabet
    have them, and the configured columns that exist.

    Covariates, scores and features without a single value count as absent. Raises `BadInput` for a
    table without groups and for configured groups that nobody belongs to.
    """
    wanted = _groups(frame, settings, groups)
    filled = [name for name in frame if frame[name].notna().any()]
    wishes = {k: list(dict.fromkeys(settings[k])) for k in ("metrics", "scores", "covariates")}
    if settings["site"] == "covariate" and "site" not in wishes["covariates"]:
        wishes["covariates"].append("site")
    columns = {k: [n for n in names if n in filled] for k, names in wishes.items()}
    columns["metrics"] = [n for n in wishes["metrics"] if n in frame]
    features = [name for names in settings["features"].values() for name in names]
    absent = [n for k, names in wishes.items() for n in names if n not in columns[k]]
    absent += [n for n in features if n not in filled]
    covariates = columns["covariates"]
    categorical = [
        name for name in covariates if name in settings["categorical"] or not _numeric(frame[name])
    ]
    wider = [v for m in columns["metrics"] for v in axis_versions(m)] + features
    also = [n for n in dict.fromkeys(wider) if n in filled and n not in columns["metrics"]]
    return Plan(
        groups=wanted,
        metrics=columns["metrics"],
        scores=columns["scores"],
        covariates=covariates,
        categorical=categorical,
        absent=list(dict.fromkeys(absent)),
        also=also,
    )


def _groups(frame: pd.DataFrame, settings: dict, allowed: list[str]) -> list[str]:
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
    wanted = [str(g) for g in settings["groups"] or allowed or present]
    return [g for g in dict.fromkeys(wanted) if g in present]


def select(
    frame: pd.DataFrame,
    plan: Plan,
    settings: dict,
    exclude: list[str],
    rejected: dict[int, list[str]] | None = None,
) -> Cohort:
    """The analysed subjects: those of a group, one session each, numbers as numbers.

    ``rejected``: reasons of `without_rejected`. A row that has no metric left leaves; one that has
    stays with what is left, and is listed all the same.
    """
    left_out: list[dict] = []

    def leave(rows: pd.Series, reason: str) -> None:
        left_out.extend(
            row | {"reason": reason} for row in frame.loc[rows, IDENTITY].to_dict("records")
        )

    names = frame["participant_id"] + ("_" + frame["session_id"].astype("string")).fillna("")
    excluded = names.isin(exclude) | frame["participant_id"].isin(exclude)
    leave(excluded, "excluded by the configuration (exclude)")
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
    if not len(usable):
        raise BadInput("nobody can be analysed", "", "see stats.groups and exclude")
    notes = [
        f"{name} is not in the table or has no values, and was left out"
        for name in plan.absent if name not in settings["metrics"]
    ]  # fmt: skip
    notes += [
        f"{name} holds words and is taken as a category"
        for name in plan.categorical if name not in settings["categorical"]
    ]  # fmt: skip
    for name in plan.columns:
        if name not in plan.categorical:
            usable[name], wrong = _numbers(usable[name])
            notes += [f"{name}: '{value}' is not a number and counts as missing" for value in wrong]
    usable["group"] = pd.Categorical(usable["group"], plan.groups, ordered=True)
    chosen = _one_session(usable, settings["session"])
    several = usable["participant_id"].duplicated(keep=False)
    if several.any():
        notes.append(
            f"{usable.loc[several, 'participant_id'].nunique()} subjects have several sessions; "
            f"the {settings['session']} one is analysed, all of them in the mixed model"
        )
    leave(
        pd.Series(frame.index.isin(usable.index[~chosen]), frame.index),
        f"not the session that is analysed (stats.session: {settings['session']})",
    )
    kept = [*IDENTITY, *(c for c in CARRIED if c in usable), *plan.columns]
    usable = usable[list(dict.fromkeys(kept))]
    return Cohort(
        usable[chosen].reset_index(drop=True), usable.reset_index(drop=True), plan, left_out, notes
    )


def reload(table: str | Path, plan: dict) -> tuple[pd.DataFrame, Plan]:
    """A table of analysed subjects as it was written, and its plan."""
    plan = Plan(**plan)
    frame = read(table, {})
    for name in plan.columns:
        if name not in plan.categorical:
            frame[name] = frame[name].astype(float)
    frame["group"] = pd.Categorical(frame["group"], plan.groups, ordered=True)
    return frame, plan


def same_rows(measured: pd.DataFrame, analysed: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``measured`` (all sessions) whose subject-session is in ``analysed``."""
    wanted = pd.MultiIndex.from_frame(analysed[IDENTITY].fillna(""))
    found = pd.MultiIndex.from_frame(measured[IDENTITY].fillna(""))
    return measured[found.isin(wanted)].reset_index(drop=True)


def axis_versions(metric: str) -> list[str]:
    """The metric; ALPS in all its axis versions."""
    for axes in AXES:
        if metric.startswith(f"alps_{axes}_"):
            return [metric.replace(axes, other, 1) for other in AXES]
    return [metric]


def _one_session(frame: pd.DataFrame, rule: str) -> pd.Series:
    """Which rows are analysed: per subject the first, the last, or the session of this label."""
    if rule in ("first", "last"):
        ordered = frame["session_id"].map(session_order).sort_values(kind="stable")
        repeated = frame.loc[ordered.index, "participant_id"].duplicated(keep=rule)
        return ~repeated.reindex(frame.index)
    return frame["session_id"] == rule


def session_order(label: str | None) -> tuple:
    """Sorts ses-2 before ses-10, and no label first."""
    parts = re.split(r"(\d+)", label if isinstance(label, str) else "")
    return tuple((part.isdigit(), int(part) if part.isdigit() else part) for part in parts if part)


def _numeric(column: pd.Series) -> bool:
    """Whether any cell is a number: a stray word does not make categories of ages."""
    return bool(pd.to_numeric(column.dropna(), errors="coerce").notna().any())


def _numbers(column: pd.Series) -> tuple[pd.Series, list[str]]:
    """The column as floats, infinite ones missing, and the entries that are no numbers."""
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = column[numbers.isna() & column.notna()].unique()
    return numbers.where(np.isfinite(numbers)).astype(float), sorted(map(str, wrong))
