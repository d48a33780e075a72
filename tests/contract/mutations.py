"""Documents with a few changes anywhere, for what reads them in two ways that must agree."""

from __future__ import annotations

import copy
import typing as t

from hypothesis import strategies as st


def places(value: object) -> list[tuple[t.Any, t.Any]]:
    """Every (container, key) below *value*."""
    found: list[tuple[t.Any, t.Any]] = []
    if isinstance(value, (dict, list)):
        for key, content in value.items() if isinstance(value, dict) else enumerate(value):
            found += [(value, key), *places(content)]
    return found


def changed_anywhere(data: t.Any, whole: t.Any, odd: st.SearchStrategy[t.Any], keys: st.SearchStrategy[str]) -> t.Any:
    """A copy of *whole* with one to three changes drawn from *data*: *odd* put or added, or something taken out."""
    read = copy.deepcopy(whole)
    for _turn in range(data.draw(st.integers(1, 3))):
        at, key = data.draw(st.sampled_from(places(read)))
        what = data.draw(st.sampled_from(["put", "take", "add"]))
        if what == "put":
            at[key] = copy.deepcopy(data.draw(odd))
        elif what == "take":
            del at[key]
        elif isinstance(at, dict):
            at[data.draw(keys)] = copy.deepcopy(data.draw(odd))
        else:
            at.append(copy.deepcopy(data.draw(odd)))
        if not places(read):
            break
    return read
