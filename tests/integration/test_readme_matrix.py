"""README's table of who may do what is what a live catalogue says."""

from __future__ import annotations

import importlib.util
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def tool() -> t.Any:
    spec = importlib.util.spec_from_file_location("permission_matrix", ROOT / "tools" / "permission_matrix.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_says_what_the_live_catalogue_says():
    made = tool().made()
    assert "| `scraper` | OS user `collector` |" in made
    assert made == (ROOT / "README.md").read_text(encoding="utf-8"), "run `make matrix`"
