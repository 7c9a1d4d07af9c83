"""The parts of the reference that are made from the schema and the registries (a hook of mkdocs).

A page of docs/ takes one in with a line `{{ name }}`; the names are those of `PARTS`.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow"))

from glymph.common.registry import metrics  # noqa: E402

FUNCTIONS = {
    "common.spaces": ("apply_affine", "voxel_sizes", "image_axes", "rotation_part"),
    "common.gradients": ("read_fsl", "select_shells"),
    "anat.brain": ("correct_bias", "brain_mask"),
    "anat.tissue": ("segment",),
    "dwi.denoise": ("denoise",),
    "dwi.motion": ("estimate", "rotate_gradients", "displacements"),
    "dwi.predict": ("predict",),
    "dwi.currents": ("separate",),
    "dwi.tensor": ("fit",),
    "dwi.white_matter": ("psmd",),
    "alps.axes": ("native", "principal", "pas", "ld"),
    "alps.region": ("measure", "angle", "shape"),
    "alps.index": ("compute",),
    "epvs.census": ("find_objects",),
    "epvs.agreement": ("compare",),
}
"""What a lab may want to call from Python, by module of the package."""
STAGES = {
    "anat": "Brain", "epvs": "Perivascular spaces", "dwi": "Diffusion", "alps": "ALPS",
    "metrics": "Identity",
}  # fmt: skip


def on_page_markdown(markdown: str, **_) -> str:
    """Called by mkdocs for every page; raises `KeyError` for a part that there is not."""
    return re.sub(r"^\{\{ (\w+) \}\}$", lambda found: PARTS[found[1]](), markdown, flags=re.M)


def configuration() -> str:
    """Every key of the configuration: default, type, meaning."""
    schema = json.loads((ROOT / "workflow/schemas/config.schema.json").read_text("utf-8"))
    defaults = yaml.safe_load((ROOT / "config/config.yaml").read_text("utf-8"))
    rows = [
        (f"`{key}`", _code(default), _kind(part), part.get("description", ""))
        for key, part, default in _keys(schema, defaults, "")
    ]
    return table(("key", "default", "type and range", "meaning"), rows)


def metrics_table() -> str:
    """Every metric by stage: column, unit, plausible range, meaning and source."""
    text = []
    for stage in dict.fromkeys(metric.stage for metric in metrics().values()):
        rows = [
            (f"`{m.name}`", m.unit, _range(m.plausible), f"{m.description} *{m.source}*", m.look)
            for m in metrics().values()
            if m.stage == stage
        ]
        heads = ("column", "unit", "plausible", "meaning and source", "when flagged, look at")
        text += [f"## {STAGES.get(stage, stage)}", table(heads, rows)]
    return "\n\n".join(text)


def statistics_tables() -> str:
    """Every table of the statistics, and every column."""
    found = yaml.safe_load((ROOT / "resources/statistics.yaml").read_text("utf-8"))
    text = []
    for name, one in found["tables"].items():
        columns = ", ".join(f"`{column}`" for column in one.get("columns", ()))
        text += [f"### {name}", one["title"], columns or "Columns as in the metrics table."]
    rows = [(f"`{name}`", about) for name, about in found["columns"].items()]
    return "\n\n".join([*text, "## Columns", table(("column", "meaning"), rows)])


def _keys(schema: dict, defaults: dict, above: str):
    for name, part in schema.get("properties", {}).items():
        key, default = f"{above}{name}", (defaults or {}).get(name)
        if part.get("properties"):
            yield from _keys(part, default, f"{key}.")
        else:
            yield key, part, default


def _kind(part: dict) -> str:
    if "enum" in part:
        return ", ".join(_code(value) for value in part["enum"])
    kinds = part.get("type", "")
    text = ", ".join(kinds) if isinstance(kinds, list) else kinds
    low = part.get("minimum", part.get("exclusiveMinimum"))
    high = part.get("maximum", part.get("exclusiveMaximum"))
    return text if low is None and high is None else f"{text} {_range((low, high))}"


def _code(value) -> str:
    return "" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def _range(ends) -> str:
    low, high = ends
    if low is None and high is None:
        return ""
    words = ["" if end is None else f"{end:.12g}" for end in ends]
    return " to ".join(words).strip()


def table(heads, rows) -> str:
    """A Markdown table; bars in the cells are kept from ending them."""
    lines = [heads, ["---"] * len(heads), *rows]
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _file(path: str):
    return lambda: (ROOT / path).read_text("utf-8")


def readme() -> str:
    """The README with links as seen from docs/."""
    text = _file("README.md")().replace("](docs/", "](")
    text = re.sub(r"\]\(resources/models/(\w+)/docs/README\.md\)", r"](models/\1.md)", text)
    text = text.replace("](config/README.md", "](how-to/configure.md")
    return re.sub(r"\[([^\]]+)\]\(CITATION\.cff\)", r"`\1`", text)


def config_readme() -> str:
    """The README of config/ with links as seen from docs/how-to/."""
    text = _file("config/README.md")().replace("](../docs/how-to/", "](")
    return text.replace("](../docs/", "](../")


def python() -> str:
    """The functions that are worth an import, by module: signature and docstring."""
    text = []
    for module, names in FUNCTIONS.items():
        path = ROOT / "workflow" / "glymph" / f"{module.replace('.', '/')}.py"
        text.append(f"## glymph.{module}")
        nodes = {n.name: n for n in ast.parse(path.read_text("utf-8")).body if hasattr(n, "name")}
        for name in names:
            node = nodes[name]
            back = f" -> {ast.unparse(node.returns)}" if node.returns else ""
            signature = f"{name}({ast.unparse(node.args)}){back}"
            text += [f"### {name}", f"```python\n{signature}\n```", _docstring(node)]
    return "\n\n".join(text)


def _docstring(node: ast.FunctionDef) -> str:
    """As Markdown: examples fenced, double backticks single."""
    told, _, example = ast.get_docstring(node).partition("\n\n>>> ")
    told = told.replace("``", "`")
    return f"{told}\n\n```pycon\n>>> {example}\n```" if example else told


PARTS = {
    "readme": readme,
    "config_readme": config_readme,
    "card_epvs": _file("resources/models/epvs/docs/README.md"),
    "card_regions": _file("resources/models/regions/docs/README.md"),
    "card_brain": _file("resources/models/brain/docs/README.md"),
    "configuration": configuration,
    "metrics": metrics_table,
    "statistics": statistics_tables,
    "python": python,
}
