"""In which order a subject's sessions were, and how many years apart: by what the data say."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from glymph.common.bids import same
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
        listed = short(", ".join(sorted(labels.unique())))
        problem = (
            f"the order of sessions {listed} is not known: give acq_time in sessions.tsv or the "
            "table, or list them in stats.sessions"
        )
        return Order(unknown, unknown, "", problem)
    number = keys[basis].groupby(own["participant_id"]).rank().sub(1).reindex(frame.index)
    time = next(iter(known.values()), None)
    if time is None:
        return Order(number.fillna(0), unknown, basis)
    years = time - time.groupby(own["participant_id"]).transform("min")
    if (years.groupby(own["participant_id"]).rank().sub(1) != number[several]).any():
        raise BadInput(
            f"stats.sessions and {next(iter(known))} put sessions in different orders", "",
            "correct one of them",
        )  # fmt: skip
    told = basis if basis in known else f"{basis}, years by {next(iter(known))}"
    return Order(number.fillna(0), years.reindex(frame.index).fillna(0), told)


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
    """Years of acq_time since some day."""
    if "acq_time" not in own:
        return None
    stamps = own["acq_time"].map(_date)
    return stamps.map(lambda s: np.nan if s is None else s)


def _date(text) -> float | None:
    try:
        stamp = np.datetime64(str(text).strip().removesuffix("Z"), "s")
    except ValueError:
        return None
    return None if np.isnat(stamp) else float(stamp.astype(np.int64)) / 86400 / YEAR_DAYS


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
