"""The reference is whole, and its links lead somewhere."""

import doctest
import importlib
import importlib.util
import json
import re
from pathlib import Path

import pytest
import yaml

from glymph.common.registry import metrics

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def generated():
    spec = importlib.util.spec_from_file_location("generated", ROOT / "docs" / "generated.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def keys(schema, above=""):
    for name, part in schema.get("properties", {}).items():
        inner = list(keys(part, f"{above}{name}."))
        yield from inner or [f"{above}{name}"]


def test_every_key_metric_and_column_is_in_the_reference(generated):
    schema = json.loads((ROOT / "workflow/schemas/config.schema.json").read_text())
    text = generated.configuration()
    assert [key for key in keys(schema) if f"| `{key}` |" not in text] == []
    text = generated.metrics_table()
    assert [name for name in metrics() if f"| `{name}` |" not in text] == []
    columns = yaml.safe_load((ROOT / "resources/statistics.yaml").read_text())["columns"]
    text = generated.statistics_tables()
    assert [name for name in columns if f"| `{name}` |" not in text] == []


def test_examples_run(generated):
    """Of every function in the reference that has one: fifteen and more."""
    run = 0
    for module in generated.FUNCTIONS:
        found = importlib.import_module(f"glymph.{module}")
        for name in generated.FUNCTIONS[module]:
            assert getattr(found, name).__doc__
        tried = doctest.testmod(found)
        assert not tried.failed, module
        run += len([test for test in doctest.DocTestFinder().find(found) if test.examples])
    assert run >= 15


def test_every_page_has_the_parts_that_it_names(generated):
    for page in (ROOT / "docs").rglob("*.md"):
        made = generated.on_page_markdown(page.read_text())
        assert not re.search(r"^\{\{", made, flags=re.M), page


def test_every_page_is_in_the_menu():
    # the file has tags of Python that only mkdocs reads
    text = (ROOT / "mkdocs.yml").read_text()
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages if page not in text} == set()


@pytest.mark.parametrize("page", ["README.md", "config/README.md"])
def test_links_lead_to_files(page):
    path = ROOT / page
    targets = re.findall(r"\]\(([^)#:]+)[)#]", path.read_text())
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_containers_hold_what_a_run_needs():
    """What tests copy of the repository to run it elsewhere is what the recipes copy."""
    docker, apptainer = ((ROOT / name).read_text() for name in ("Dockerfile", "glymph.def"))
    for name in ("requirements.txt", "Snakefile", "config", "envs", "resources", "workflow"):
        assert re.search(rf"^COPY {name} ", docker, flags=re.M), name
        assert f"    {name} /opt/glymph/{name}\n" in apptainer
    for recipe in (docker, apptainer):
        assert "python:3.11-" in recipe
        assert "workflow/profiles" in recipe
