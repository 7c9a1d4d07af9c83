"""The conda environments hold the versions that are tested, and all that their scripts import."""

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml

from glymph.common.provenance import _closure, _imports
from tests.workflow.conftest import settings, snakemake

ROOT = Path(__file__).resolve().parents[2]
MODULES = {
    "ants": "antspyx", "yaml": "pyyaml", "skimage": "scikit-image",
    "sklearn": "scikit-learn", "docx": "python-docx", "neuroCombat": "neurocombat",
    "fsl": "fslpy", "bidsschematools": None,
}  # fmt: skip
"""Import name to package; None: imported by the main process only, never in a job."""


OPTIONAL = {"brainextractor"}
"""What only a key of the configuration asks for: an extra of pyproject.toml."""


def pinned(name="requirements-dev.txt"):
    lines = (ROOT / name).read_text().splitlines()
    return {n.lower(): v for n, v in (line.split("==") for line in lines if "==" in line)}


def packages(name):
    listed = yaml.safe_load((ROOT / "envs" / f"{name}.yaml").read_text())["dependencies"]
    flat = [x for x in listed if isinstance(x, str)]
    flat += [x for entry in listed if isinstance(entry, dict) for x in entry["pip"]]
    return dict(re.split("==?", line, maxsplit=1) for line in flat if "=" in line)


def environments():
    for rules in (ROOT / "workflow" / "rules").glob("*.smk"):
        text = rules.read_text()
        for block in re.split(r"^rule ", text, flags=re.M)[1:]:
            script = re.search(r'"\.\./scripts/(.+?)"', block).group(1)
            yield re.search(r'env\("(\w+)"\)', block).group(1), script


def third_party(script):
    path = ROOT / "workflow" / "scripts" / script
    sources = {path} | _closure(frozenset(_imports(path)))
    names = set()
    for source in sources:
        tree = ast.parse(source.read_text())
        # what `common` imports inside a function is only needed by the stages that call it
        nodes = tree.body if source.parent.name == "common" else ast.walk(tree)
        for node in nodes:
            if isinstance(node, ast.Import):
                names.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                names.add((node.module or "").split(".")[0])
    return names - set(sys.stdlib_module_names) - {"glymph", ""}


def test_a_run_has_the_tested_versions_and_all_that_it_imports():
    run, tested = pinned("requirements.txt"), pinned()
    assert run.items() <= tested.items()
    for _, script in environments():
        for module in third_party(script) - OPTIONAL:
            package = MODULES.get(module, module)
            assert package is None or package in run, f"{script} imports {module}"
    assert not run.keys() & {*OPTIONAL, "numba", "pytest", "ruff", "bids-validator-deno", "deno"}


def test_an_engine_without_its_library_stops_the_start(skeleton, tmp_path, monkeypatch):
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent/brainextractor.py").write_text("raise ImportError('not here')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "absent"), prepend=":")
    bids = skeleton("sub-01", "T1w.nii.gz")
    arguments = settings(bids, "out", anat="{brain: bet}")
    code, output = snakemake("-n", *arguments, cwd=tmp_path, check=False)
    assert code != 0
    assert "anat.brain: bet needs a library that cannot be loaded (ImportError: not here)" in output
    assert "pip install brainextractor" in output
    assert "Traceback" not in output
    assert "Job stats" in snakemake("-n", *settings(bids, "out"), cwd=tmp_path)[1]


@pytest.mark.parametrize("name", ["core", "anat", "dwi", "epvs", "stats"])
def test_versions_are_the_tested_ones(name):
    for package, version in packages(name).items():
        if package != "python":
            assert pinned()[package] == version, package


@pytest.mark.parametrize("name, script", sorted(environments()))
def test_environment_holds_what_its_script_imports(name, script):
    for module in third_party(script):
        package = MODULES.get(module, module)
        assert package is None or package in packages(name), f"{script} imports {module}"
