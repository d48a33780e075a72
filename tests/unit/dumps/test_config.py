"""The settings of the commands: typed, complete, and nothing unknown in them."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.config import read_settings
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.stores import Settings, Store

GOOD: dict[str, t.Any] = {
    "source_command": ["a", "b"],
    "stores": [{"name": "vault", "command": ["ssh", "host"]}],
    "databases": ["x"],
}


def read(path: Path, document: t.Any) -> Settings:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return read_settings(Settings, str(path))


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    settings = read(tmp_path / "c", {**GOOD, "idle_timeout": 5})
    assert settings.source_command == ("a", "b")
    assert settings.idle_timeout == 5.0
    assert settings.stores == (Store(name="vault", command=("ssh", "host")),)
    assert settings.retry_delays == (30.0, 120.0)
    assert settings.lock_file == "/run/taaraxtak-backup/dump-send.lock"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{", "is not JSON"),
        ([], "is not a JSON object"),
        ({"databases": ["x"]}, "lacks the key source_command"),
        ({**GOOD, "sauce": 1}, "not known: sauce"),
        ({**GOOD, "lock_file": ""}, "lock_file in .* must be a text"),
        ({**GOOD, "lock_file": 1}, "lock_file in .* must be a text"),
        ({**GOOD, "source_command": "ssh host"}, "must be a list that is not empty"),
        ({**GOOD, "source_command": []}, "must be a list that is not empty"),
        ({**GOOD, "source_command": [1]}, "an entry of source_command in .* must be a text"),
        ({**GOOD, "stores": ["vault"]}, "an entry of stores in .* is not a JSON object"),
        ({**GOOD, "stores": [{"name": "vault"}]}, "an entry of stores in .* lacks the key command"),
        ({**GOOD, "stores": [*GOOD["stores"], *GOOD["stores"]]}, "stores must have different names"),
        ({**GOOD, "retry_delays": [0]}, "an entry of retry_delays in .* must be a number above 0"),
        ({**GOOD, "idle_timeout": 0}, "must be a number above 0"),
        ({**GOOD, "idle_timeout": True}, "must be a number above 0"),
    ],
)
def test_wrong_settings_are_refused_by_name(tmp_path: Path, document: t.Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read(tmp_path / "c", document)


def test_a_list_may_be_empty_only_where_that_means_something(tmp_path: Path) -> None:
    assert read(tmp_path / "c", {**GOOD, "retry_delays": []}).retry_delays == ()
    with pytest.raises(ValueError, match=r"databases in .* must be a list that is not empty"):
        read(tmp_path / "c", {**GOOD, "databases": []})


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No such file"):
        read_settings(Settings, str(tmp_path / "none"))
