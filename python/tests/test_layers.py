"""The packages of emeth import one way: each only those before it in the list."""

import ast
from pathlib import Path

import pytest

LAYERS = ["wire", "files", "data", "models", "rounds", "children"]
PACKAGE = Path(__file__).parent.parent / "emeth"


def imported_packages(source: str) -> set[str]:
    """The packages of emeth that a module imports, also inside functions."""
    nodes = list(ast.walk(ast.parse(source)))
    named = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    named += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    parts = [name.split(".") for name in named]
    return {part[1] for part in parts if part[0] == "emeth" and len(part) > 1}


def test_every_package_is_in_the_list() -> None:
    assert sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py")) == sorted(LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_layer_imports_only_the_layers_before_it(layer: str) -> None:
    allowed = set(LAYERS[: LAYERS.index(layer) + 1])
    upward = {
        path.name: sorted(imported_packages(path.read_text()) - allowed)
        for path in (PACKAGE / layer).rglob("*.py")
        if imported_packages(path.read_text()) - allowed
    }
    assert upward == {}


def test_an_upward_import_is_seen() -> None:
    assert imported_packages("def late():\n    from emeth.rounds.train import run\n") == {"rounds"}
