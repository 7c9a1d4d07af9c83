"""docs/faults.md lists every test of this folder, with the promise that its docstring makes."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "faults.md"


def promises():
    """{name of the test: first paragraph of its docstring}, of all tests but this module's."""
    found = {}
    for source in HERE.glob("test_*.py"):
        for node in ast.parse(source.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found[node.name] = " ".join(
                    (ast.get_docstring(node) or "").split("\n\n")[0].split()
                )
    return {name: text for name, text in found.items() if name not in globals()}


def test_every_fault_is_listed_with_its_promise_and_nothing_else_is():
    lines = re.findall(r"^\|([^|]+)\|([^|]+)\| `(test_\w+)` \|([^|]+)\|$", PAGE.read_text(), re.M)
    listed = {name: promise.strip() for _, promise, name, _ in lines}
    assert listed == promises()
    assert len(lines) == len(listed)
