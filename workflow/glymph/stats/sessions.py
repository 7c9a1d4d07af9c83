"""In which order a subject's sessions were, and how many years apart: by what the data say."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from glymph.common.bids import same
from glymph.common.cells import day_of
from glymph.common.errors import BadInput, short
from glymph.common.names import Unit

NUMBER, YEARS = "session_number", "years"
YEAR_DAYS = 365.25
FIRST, LAST = "first", "last"


@dataclass(frozen=True)
class Order:
    """``number`` (from 0) and ``years`` since the first session of each row's subject, NaN where
    unknown. ``basis`` says what told them, "" where nothing did and ``problem`` says why."""

    number: pd.Series
    years: pd.Series
    basis: str
    problem: str = ""


def order(frame: pd.DataFrame, configured: list) -> Order:
    """The order of the sessions in ``frame`` (participant_id, session_id, and where there are,
    acq_time and age).

    Told by ``configured`` labels (stats.sessions), else by acq_time, else by age, else by the
    number in the labels, whichever first tells all sessions of all subjects with several apart.
    Years are known by acq_time or age alone.
    """
    several = frame["participant_id"].duplicated(keep=False)
    own, rest = frame[several], pd.Series(0.0, frame.index)
    if own.empty:
        return Order(rest, rest, "one session each")
    labels = own["session_id"].map(_label)
    times = {"acq_time": _dates(own), "age": _ages(own)}
    known = {name: t for name, t in times.items() if _tells_apart(own, t)}
    keys = {"stats.sessions": _listed(labels, configured)} if configured else {}
    keys |= known | {"the number in session_id": _numbers(labels)}
    basis = next((name for name, key in keys.items() if _tells_apart(own, key)), "")
    if configured and basis != "stats.sessions":
        missing = [label for label in labels.unique() if not any(same(label, _label(c))
                   for c in configured)]  # fmt: skip
        raise BadInput(
            f"stats.sessions does not name session {short(', '.join(missing))}", "",
            "list every session once, in order of time",
        )  # fmt: skip
    unknown = pd.Series(np.nan, frame.index)
    if not basis:
        listed = short(", ".join(sorted(filter(None, labels.unique())) or ["without a label"]))
        dates = times["acq_time"]
        lack = own.loc[dates.isna(), "participant_id"] if dates is not None else own[:0]
        some = 0 < len(lack) < len(own)
        who = f" (lacking, say, for {lack.iloc[0]})" if some else ""
        problem = (
            f"the order of sessions {listed} is not known: give acq_time{who} in sessions.tsv or "
            "the table, or list them in stats.sessions"
        )
        return Order(unknown, unknown, "", problem)
    if other := _contradicts(own, basis, keys):
        return Order(unknown, unknown, "", other)
    time = next(iter(known.values()), None)
    if time is None:
        # The label's own number, not its rank: who missed session 2 has 1 and 3.
        number = _of_all(frame, configured).fillna(0)
        return Order(number - number.min(), unknown, basis)
    ranks = keys[basis].groupby(own["participant_id"]).rank().sub(1)
    years = time - time.groupby(own["participant_id"]).transform("min")
    told = basis if basis in known else f"{basis}, years by {next(iter(known))}"
    return Order(ranks.reindex(frame.index).fillna(0), years.reindex(frame.index).fillna(0), told)


def _contradicts(own: pd.DataFrame, basis: str, keys: dict[str, pd.Series]) -> str:
    """Whether another key that tells sessions apart puts them in another order; "" where none."""
    who = own["participant_id"]
    ranks = keys[basis].groupby(who).rank()
    for name, key in keys.items():
        if name == basis or not _tells_apart(own, key):
            continue
        differ = who[key.groupby(who).rank() != ranks]
        if len(differ):
            return (
                f"{basis} and {name} put the sessions of {differ.iloc[0]} in different orders: "
                "correct one of them"
            )
    return ""


def _of_all(frame: pd.DataFrame, configured: list) -> pd.Series:
    """The place in the configured list, or the number in the label, of every row."""
    labels = frame["session_id"].map(_label)
    return _listed(labels, configured) if configured else labels.map(_digits)


def _digits(label: str) -> float:
    found = re.search(r"\d+", label)
    return float(found[0]) if found else np.nan


def problem_of(people: list[tuple[Unit, dict]], configured: list) -> str:
    """The `Order.problem` of units with what is known of them (acq_time, age)."""
    rows = [
        {"participant_id": unit.subject, "session_id": unit.session,
         "acq_time": known.get("acq_time"), "age": known.get("age")}
        for unit, known in people
    ]  # fmt: skip
    return order(pd.DataFrame(rows), configured).problem


def choose(frame: pd.DataFrame, rule: str, ordered: Order) -> pd.Series:
    """Which rows are analysed (bool): per subject the first, the last, or the session so called.

    Raises `BadInput` for a session that nobody has, and where first or last is not known.
    """
    if rule in (FIRST, LAST):
        several = frame["participant_id"].duplicated(keep=False)
        if ordered.problem and several.any():
            raise BadInput(
                f"stats.session is {rule}, and {ordered.problem}", "",
                "or set stats.session to the label of the one to analyse",
            )  # fmt: skip
        numbers = ordered.number.sort_values(kind="stable")
        repeated = frame.loc[numbers.index, "participant_id"].duplicated(keep=rule)
        return ~repeated.reindex(frame.index)
    labels = frame["session_id"].map(_label)
    chosen = labels.map(lambda label: bool(label) and same(label, _label(rule))).astype(bool)
    if not chosen.any():
        there = short(", ".join(sorted(filter(None, labels.unique()))) or "none")
        raise BadInput(
            f"stats.session: nobody has session {short(rule)} (the table has: {there})", "",
            "give one of these, first, or last",
        )  # fmt: skip
    return chosen


def _label(session) -> str:
    return str(session).removeprefix("ses-") if isinstance(session, (str, int)) else ""


def _tells_apart(own: pd.DataFrame, key: pd.Series | None) -> bool:
    """Whether ``key`` is known in every row and differs between the rows of each subject."""
    if key is None or key.isna().any():
        return False
    return not pd.DataFrame({"who": own["participant_id"], "key": key}).duplicated().any()


def _dates(own: pd.DataFrame) -> pd.Series | None:
    """acq_time in years, by its day: where dates are removed, times of day alone are left."""
    if "acq_time" not in own:
        return None
    days = own["acq_time"].map(lambda text: day_of(text) if isinstance(text, str) else None)
    return days.map(lambda day: day.toordinal() / YEAR_DAYS if day else np.nan).astype(float)


def _ages(own: pd.DataFrame) -> pd.Series | None:
    return pd.to_numeric(own["age"], errors="coerce") if "age" in own else None


def _listed(labels: pd.Series, configured: list) -> pd.Series:
    places = {label: n for label in labels.unique() for n, c in enumerate(configured)
              if same(label, _label(c))}  # fmt: skip
    return labels.map(places).astype(float)


def _numbers(labels: pd.Series) -> pd.Series:
    """The number of every label where all labels differ by one number alone (ses-1; m00, m12)."""
    parts = labels.map(lambda label: re.fullmatch(r"(\D*)(\d+)(\D*)", label))
    if parts.isna().any() or len({(m[1], m[3]) for m in parts}) > 1:
        return pd.Series(np.nan, labels.index)
    return parts.map(lambda m: float(m[2]))
