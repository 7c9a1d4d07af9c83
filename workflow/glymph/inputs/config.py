"""Check of the configuration against ``workflow/schemas/config.schema.json``."""

from __future__ import annotations

import difflib
import json
from pathlib import Path

import yaml

SCHEMA = Path(__file__).resolve().parents[2] / "schemas" / "config.schema.json"


class ConfigError(ValueError):
    """The configuration is wrong; the message lists each key, what is wrong and what to do."""


def settle_types(config: dict, schema: Path = SCHEMA) -> None:
    """Turn words into the numbers and booleans that the schema wants, in place.

    Snakemake reads nested values given with ``--config`` as words: ``dwi={b_max: 1000}``.
    """
    _settle(config, json.loads(schema.read_text(encoding="utf-8")))


def _settle(value, rules: dict):
    if isinstance(value, dict):
        for key, item in value.items():
            value[key] = _settle(item, rules.get("properties", {}).get(key, {}))
        return value
    if isinstance(value, list):
        return [_settle(item, rules.get("items", {})) for item in value]
    if isinstance(value, str) and rules.get("type") in ("number", "integer", "boolean"):
        return yaml.safe_load(value)
    return value


def check_config(config: dict, schema: Path = SCHEMA) -> None:
    """Raise `ConfigError` naming every unknown key, wrong type and value out of range."""
    from jsonschema import Draft202012Validator

    rules = json.loads(schema.read_text(encoding="utf-8"))
    errors = sorted(Draft202012Validator(rules).iter_errors(config), key=lambda e: list(e.path))
    if errors:
        lines = "\n".join(f"  - {line}" for error in errors for line in _messages(error))
        raise ConfigError(f"the configuration has {len(errors)} error(s):\n{lines}")


def _messages(error) -> list[str]:
    place = ".".join(map(str, error.absolute_path))
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        unknown = [key for key in error.instance if key not in known]
        return [_unknown_key(".".join(filter(None, (place, key))), key, known) for key in unknown]
    about = error.schema.get("description", "")
    meaning = f" ({about.rstrip('.')})" if about else ""
    if error.validator == "type":
        wanted = error.validator_value
        wanted = wanted if isinstance(wanted, str) else " or ".join(wanted)
        return [f"{place}: {error.instance!r} is not of type {wanted}{meaning}"]
    return [f"{place or 'config'}: {error.message}{meaning}"]


def _unknown_key(place: str, key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(str(key), known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known keys here: {', '.join(sorted(known))}"
    return f"{place}: unknown key; {hint}"
