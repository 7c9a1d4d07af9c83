"""Which code, which libraries and which parameters made a result.

`code_hash` is a parameter of every rule, so that a change in the science reruns exactly the rules
whose scripts import the changed file, which snakemake itself does not see. Snakemake's own trigger
`code` is off in the profiles: it goes by the times of scripts, which a new clone sets anew.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import glymph

PACKAGE = Path(glymph.__file__).parent
LIBRARIES = (
    "antspyx", "brainextractor", "deepbet", "dipy", "fslpy", "monai", "nibabel", "nilearn", "numpy",
    "pandas", "scikit-image", "scikit-learn", "scipy", "statsmodels", "torch",
)  # fmt: skip


def show_package_to_scripts() -> None:
    """Put this package's folder on PYTHONPATH, which every job of the workflow inherits."""
    places = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(places))


def code_hash(script: str | Path) -> str:
    """Hash of the bytes of ``script`` and of its imports within this package, to the end."""
    digest = hashlib.sha256(Path(script).read_bytes())
    for module in sorted(_closure(frozenset(_imports(Path(script))))):
        digest.update(module.read_bytes())
    return digest.hexdigest()[:12]


@cache
def _closure(start: frozenset[Path]) -> frozenset[Path]:
    found, waiting = set(), list(start)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting.extend(_imports(module))
    return frozenset(found)


@cache
def _imports(source: Path) -> frozenset[Path]:
    """Files of this package that ``source`` imports anywhere, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return frozenset(path for name in names if (path := _module_file(name)))


def _module_file(name: str) -> Path | None:
    if name != "glymph" and not name.startswith("glymph."):
        return None
    stem = PACKAGE.joinpath(*name.split(".")[1:])
    return next((p for p in (stem.with_suffix(".py"), stem / "__init__.py") if p.is_file()), None)


def software() -> dict[str, str]:
    """Versions of this workflow and of the libraries that make its numbers."""
    found = {"glymph": glymph.__version__}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def software_hash() -> str:
    """Short fingerprint of `software`, to see at a glance that two results share it."""
    text = ";".join(f"{name}={number}" for name, number in sorted(software().items()))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def stamp(sources: list[str], parameters: dict, fsl: str | None = None, **more) -> dict:
    """The part of a sidecar that every result carries: sources, parameters, software.

    ``fsl`` is the version of the FSL that took part, if any.
    """
    return {
        "Sources": [str(source) for source in sources],
        "Parameters": parameters,
        "GeneratedBy": software() | ({"fsl": fsl} if fsl else {}),
        **more,
    }


def content_hash(value) -> str:
    """Short fingerprint of anything that JSON can hold."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def file_hash(path: str | Path) -> str:
    """Short fingerprint of a file's content."""
    return bytes_hash(Path(path).read_bytes())


def bytes_hash(content: bytes) -> str:
    """The `file_hash` of a file with this content."""
    return hashlib.sha256(content).hexdigest()[:12]
