"""The map of the repository: stages have the same name everywhere, and keep apart."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from glymph.common.provenance import _imports, code_hash
from glymph.common.registry import metrics

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "workflow" / "glymph"
STAGES = ("inputs", "anat", "epvs", "dwi", "alps", "metrics", "qc", "review", "stats", "report")
ALLOWED = {
    "inputs": {"networks"},
    "anat": {"networks"},
    "epvs": {"anat", "networks"},
    "metrics": {"inputs", "epvs"},
    "qc": {"alps", "metrics"},
    "report": {"stats"},
    "review": {"alps", "epvs", "metrics"},
    "train": {"anat", "epvs", "networks"},
}
"""Stages whose types another one reads; everything else goes through files."""


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_its_four_rooms(stage):
    assert (ROOT / "workflow" / "rules" / f"{stage}.smk").is_file()
    assert (ROOT / "workflow" / "scripts" / stage).is_dir()
    assert (PACKAGE / stage / "__init__.py").is_file()
    assert (ROOT / "tests" / stage).is_dir()


def test_there_are_no_other_rooms():
    rules = {path.stem for path in (ROOT / "workflow" / "rules").glob("*.smk")}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rules == {*STAGES, "group", "train", "common"}  # group: the cohort's part of metrics
    assert packages == {*STAGES, "common", "networks", "simulate", "train"}


def used_rooms(folder):
    for source in folder.rglob("*.py"):
        for module in _imports(source):
            yield source, module.relative_to(PACKAGE).parts[0]


@pytest.mark.parametrize("stage", [*STAGES, "common", "networks", "simulate", "train"])
def test_stages_import_only_what_is_shared(stage):
    allowed = {stage, "__init__.py"} | ALLOWED.get(stage, set())
    if stage != "simulate":
        allowed.add("common")
    for source, room in used_rooms(PACKAGE / stage):
        assert room in allowed, f"{source.name} imports {room}"


@pytest.mark.parametrize("stage", STAGES)
def test_scripts_import_their_stage_and_what_is_shared(stage):
    allowed = {stage, "common", "__init__.py"} | ALLOWED.get(stage, set())
    for source, room in used_rooms(ROOT / "workflow" / "scripts" / stage):
        assert room in allowed, f"{source.name} imports {room}"


def test_the_science_never_imports_snakemake():
    for source in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "snakemake" for name in names), source


def test_every_script_has_a_rule_and_its_code_hash():
    rules = "\n".join(p.read_text() for p in (ROOT / "workflow" / "rules").glob("*.smk"))
    for script in (ROOT / "workflow" / "scripts").rglob("*.py"):
        name = script.relative_to(ROOT / "workflow" / "scripts").as_posix()
        assert f'script:\n        "../scripts/{name}"' in rules, name
        assert f'code=code("{name}")' in rules, f"{name}: edits of the science would go unseen"


def test_what_one_stage_asks_is_not_in_common():
    assert len((ROOT / "workflow" / "rules" / "common.smk").read_text().splitlines()) <= 200


def test_snakefile_fits_one_screen():
    assert len((ROOT / "Snakefile").read_text().splitlines()) <= 60


def test_code_hash_follows_imports(tmp_path, monkeypatch):
    from glymph.common import provenance

    for path, text in {
        "__init__.py": "",
        "a/__init__.py": "",
        "a/one.py": "def f():\n    from glymph.a import two\n",
        "a/two.py": "x = 1\n",
        "a/other.py": "y = 1\n",
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    script = tmp_path / "script.py"
    script.write_text("from glymph.a.one import f\n")
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)

    def fresh():
        provenance._imports.cache_clear()
        provenance._closure.cache_clear()
        return code_hash(script)

    before = fresh()
    (tmp_path / "a/other.py").write_text("y = 2\n")
    assert fresh() == before, "a module that is not imported does not count"
    (tmp_path / "a/two.py").write_text("x = 2\n")
    assert fresh() != before, "one imported inside a function does"
    provenance._imports.cache_clear()
    provenance._closure.cache_clear()


def test_registry_is_complete():
    found = metrics()
    assert {f"alps_{a}_{s}" for a in ("native", "template", "principal")
            for s in ("left", "right", "mean")} <= set(found)  # fmt: skip
    for name, metric in found.items():
        assert name.islower()
        assert all((metric.label, metric.unit, metric.description, metric.source)), name
        assert metric.stage in STAGES, name
        low, high = metric.plausible
        assert low is None or high is None or low < high, name
        assert "{" not in metric.label + metric.description, name


def test_the_slurm_profile_groups_every_rule_of_a_unit():
    """A rule that is in no group becomes a submission of its own, for every subject."""
    profile = yaml.safe_load((ROOT / "profiles" / "slurm" / "profile.yaml").read_text())
    grouped = {line.partition("=")[0] for line in profile["groups"]}
    for stage in ("inputs", "anat", "epvs", "dwi", "alps", "metrics", "qc"):
        text = (ROOT / "workflow" / "rules" / f"{stage}.smk").read_text()
        for rule in re.split(r"^rule ", text, flags=re.M)[1:]:
            if "unit_path(" in rule.partition("output:")[2] and "localrule" not in rule:
                assert rule.partition(":")[0] in grouped
