"""Which version of the collection lies in a folder, a checkout or a package's."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.project.installed import version

CHECKOUT = {"galaxy.yml": {"version": "1.2.3"}}
PACKAGE = {"MANIFEST.json": {"collection_info": {"version": "1.2.4"}}}


@pytest.mark.parametrize(
    ("held", "said"), [(CHECKOUT, "1.2.3"), (PACKAGE, "1.2.4"), ({**PACKAGE, **CHECKOUT}, "1.2.3")]
)
def test_a_checkout_and_a_package_say_theirs(held, said):
    assert version(Path("somewhere"), reader(held)) == said


def test_a_folder_that_is_neither_says_none():
    with pytest.raises(FileNotFoundError):
        version(Path("somewhere"), reader({}))


def reader(held: dict[str, t.Any]) -> t.Callable[[Path], t.Any]:
    def read(path: Path) -> t.Any:
        if path.name not in held:
            raise FileNotFoundError(path)
        return held[path.name]

    return read
