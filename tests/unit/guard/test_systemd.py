"""What the host is told of a guarded change, and when."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.guard import systemd, undo


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done, on a host with folders of its own."""
    done: list[str] = []

    def systemctl(*arguments: str) -> tuple[int, str]:
        done.append(" ".join(arguments))
        return 0, ""

    def replace(path: Path, content: bytes, *, mode: int | None = None) -> None:
        done.append(f"write {path.name}")
        path.write_bytes(content)

    (tmp_path / "units").mkdir()
    monkeypatch.setattr(undo, "KEPT", str(tmp_path / "kept"))
    monkeypatch.setattr(undo, "UNITS", str(tmp_path / "units"))
    monkeypatch.setattr(systemd, "UNITS", str(tmp_path / "units"))
    monkeypatch.setattr(systemd, "LOCKS", str(tmp_path))
    monkeypatch.setattr(systemd, "_run", systemctl)
    monkeypatch.setattr(systemd, "replace", replace)
    monkeypatch.setattr(systemd.os, "sync", lambda: done.append("sync"))
    return done


def test_what_is_kept_is_on_the_disk_before_the_way_back_is_armed(told):
    systemd.begin("logins")
    systemd.arm(undo.Undo("logins", 90, ()))
    assert told == [
        "sync",
        "write taaraxtak-undo-logins.service",
        "write taaraxtak-undo-logins.timer",
        "daemon-reload",
        "reset-failed taaraxtak-undo-logins.service",
        "restart taaraxtak-undo-logins.timer",
    ]


@pytest.mark.parametrize("change", [None, "another"])
def test_nothing_is_added_to_a_change_that_is_gone_or_anothers(told, change):
    if change:
        systemd.begin("logins")
        systemd.arm(undo.Undo("logins", 90, ()))
    told.clear()
    with pytest.raises(ValueError, match="was not confirmed in time, or another run has taken its place"):
        systemd.also_then("logins", ("/usr/bin/true",), change)
    assert told == []


def test_a_second_change_of_the_same_name_has_to_wait(told):
    systemd.begin("logins")
    first = systemd.which("logins")
    with pytest.raises(ValueError, match="neither confirmed nor taken back"):
        systemd.begin("logins")
    assert systemd.which("logins") == first


@pytest.mark.parametrize("name", ["../x", "a/b", ""])
def test_a_lock_lies_nowhere_else(told, tmp_path, name):
    with pytest.raises(ValueError, match="can't name a change"), systemd.one_at_a_time(name):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["units"]
