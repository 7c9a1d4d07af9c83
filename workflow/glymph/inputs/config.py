"""Check of the configuration against ``workflow/schemas/config.schema.json``."""

from __future__ import annotations

import difflib
import json
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from glymph.common.bids import DESCRIPTION
from glymph.common.errors import short
from glymph.common.integrity import RECORDS
from glymph.inputs.sense import senseless

SCHEMA = Path(__file__).resolve().parents[2] / "schemas" / "config.schema.json"


UNSET = re.compile(r"\$(\w+|\{\w+\})")
"""What is left in a path of a variable that the environment does not know."""
NULLS, PLAIN = ("null", "Null", "NULL"), {"number", "integer", "boolean"}
"""Words for nothing in YAML, and types that a word is turned into."""
LONGEST = 300
"""Characters of one line of a message: values may be anything."""


class ConfigError(ValueError):
    """The configuration is wrong; the message lists each key, what is wrong and what to do."""


def settle_types(config: dict, schema: Path = SCHEMA) -> None:
    """Turn words into the numbers, booleans and None that the schema wants, in place.

    Snakemake reads nested values given with ``--config`` as words: ``dwi={b_max: 1000}``. Paths are
    written in one way: ``~`` and ``$VARIABLE`` filled in, no ``./`` and no ``//``.
    """
    _settle(config, json.loads(schema.read_text(encoding="utf-8")))


def _settle(value, rules: dict):
    kinds = [rules, *rules.get("oneOf", [])]
    wanted = {name for kind in kinds for name in _types(kind)}
    if isinstance(value, dict):
        known = {k: v for kind in kinds for k, v in kind.get("properties", {}).items()}
        for key, item in value.items():
            value[key] = _settle(item, known.get(key, _others(kinds)))
        return value
    if value in NULLS and "null" in wanted:
        return None
    if "array" in wanted and isinstance(value, (str, int, float)):
        value = [value]  # participant_label=01: a list of one
    if isinstance(value, list):
        return [_settle(item, rules.get("items", {})) for item in value]
    if isinstance(value, str) and value and rules.get("format") == "path":
        return os.path.normpath(os.path.expandvars(os.path.expanduser(value)))
    if isinstance(value, str) and wanted & PLAIN and "string" not in wanted:
        value = _plain(value)
    if "integer" in wanted and isinstance(value, float) and value.is_integer():
        return int(value)  # 5.0 is an integer to JSON, but no number of folds to Python
    return value


def _types(rules: dict) -> list[str]:
    """The types that a schema allows; none where it does not say."""
    types = rules.get("type", [])
    return [types] if isinstance(types, str) else types


def _others(kinds: list[dict]) -> dict:
    """What the schemas say of keys that they do not name."""
    said = [kind["additionalProperties"] for kind in kinds if kind.get("additionalProperties")]
    return said[0] if said and isinstance(said[0], dict) else {}


def _plain(word: str):
    """The number or boolean that ``word`` is in YAML, otherwise ``word``."""
    try:
        value = yaml.safe_load(word)
    except (yaml.YAMLError, ValueError, RecursionError):
        return word
    return value if isinstance(value, (bool, int, float)) else word


def check_config(config: dict, schema: Path = SCHEMA) -> None:
    """Raise `ConfigError` naming every unknown key, wrong type, value out of range, and value that
    makes no sense or has no effect."""
    from jsonschema import Draft202012Validator

    rules = json.loads(schema.read_text(encoding="utf-8"))
    try:
        errors = list(Draft202012Validator(rules).iter_errors(config))
        found = [line for error in errors for line in _messages(error)] + list(_odd(config))
        found += [] if found else [*_plan(config), *senseless(config)]
    except RecursionError:
        found = ["config: nested without end; remove the alias of YAML that holds itself"]
    if found:
        lines = "\n".join(f"  - {short(line, LONGEST)}" for line in sorted(found))
        raise ConfigError(f"the configuration has {len(found)} error(s):\n{lines}")


def check_places(config: dict) -> None:
    """Raise `ConfigError` where results would lie among raw data, a path cannot be filled in, or
    the folder in which raters' decisions are looked for is not there."""
    output, decided = config["output_dir"], config["review"]["folder"]
    unset = [k for k in ("bids_dir", "output_dir") if UNSET.search(config[k] or "")]
    if unset:
        raise ConfigError(
            f"{unset[0]}: '{config[unset[0]]}' names a variable that is not set; set it, or write "
            "the path"
        )
    if decided and not Path(decided).is_dir():
        raise ConfigError(
            f"review.folder: there is no folder '{decided}'; correct the path, or make the folder"
        )
    place = Path(output).resolve()
    raw = Path(config["bids_dir"]).resolve() if config["bids_dir"] else None
    own = raw and not config["path_table"] and not config["metrics_table"]
    if own and place.is_relative_to(raw) and not place.is_relative_to(raw / "derivatives"):
        raise ConfigError(
            f"output_dir '{output}' lies in bids_dir '{config['bids_dir']}', whose raw data are "
            "not written to; set output_dir to a folder elsewhere, or in derivatives: "
            f"{Path(config['bids_dir']) / 'derivatives' / 'glymph'}"
        )
    for above in place.parents:
        inside = place.relative_to(above).parts[0]
        if inside != "derivatives" and _belongs_to_another(above / DESCRIPTION):
            raise ConfigError(
                f"output_dir '{output}' lies in the dataset {above}, whose raw data are not "
                "written to; set output_dir to a folder elsewhere, or in its derivatives"
            )
    if not (place / RECORDS).is_dir() and _belongs_to_another(place / DESCRIPTION):
        raise ConfigError(
            f"output_dir '{output}' is another dataset (its {DESCRIPTION} was not made by this "
            "workflow); set output_dir to a folder of its own"
        )


def _belongs_to_another(description: Path) -> bool:
    """Whether a dataset_description.json was written by anybody else; an empty one by nobody."""
    try:
        if description.stat().st_size == 0:
            return False
        makers = json.loads(description.read_text(encoding="utf-8"))["GeneratedBy"]
        return not any(maker.get("Name") == "glymph" for maker in makers)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return True


def _plan(config: dict) -> list[str]:
    """What keeps a run from being one of many side by side."""
    if config["plan"] != "subjects":
        return []
    labels = [str(label) for label in config["participant_label"]]
    found = []
    if not labels or any(label.strip().startswith("~") for label in labels):
        found.append("plan: subjects takes the subjects that participant_label names; name them")
    if config["metrics_table"] or not (config["bids_dir"] or config["path_table"]):
        found.append("plan: subjects reads images; set bids_dir or path_table, and no table")
    return found


def _odd(value, place: str = "") -> Iterator[str]:
    """What a schema cannot say: numbers without end, and text that no path or file can hold."""
    if isinstance(value, dict):
        for key, item in value.items():
            inner = short(f"{place}.{key}".lstrip("."))
            yield from _odd(key, inner)
            yield from _odd(item, inner)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _odd(item, f"{place}.{number}")
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{place}: {value} is no finite number; write the number"
    elif isinstance(value, str) and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value):
        yield f"{place}: {value!r} holds characters that no file can hold; remove them"


def _messages(error) -> list[str]:
    place = short(".".join(map(str, error.absolute_path)))
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        unknown = [key for key in error.instance if key not in known]
        return [_unknown_key(short(f"{place}.{key}".lstrip(".")), key, known) for key in unknown]
    about = error.schema.get("description", "")
    meaning = f" ({about.rstrip('.')})" if about else ""
    if error.validator == "type":
        wanted = error.validator_value
        wanted = wanted if isinstance(wanted, str) else " or ".join(wanted)
        return [f"{place}: {short(repr(error.instance))} is not of type {wanted}{meaning}"]
    return [f"{place or 'config'}: {short(error.message, 160)}{meaning}"]


def _unknown_key(place: str, key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(str(key), known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known keys here: {', '.join(sorted(known))}"
    return f"{place}: unknown key; {hint}"
