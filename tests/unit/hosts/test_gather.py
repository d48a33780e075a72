"""Parts are read each for itself: on the machine that runs the tests, where only harmless ones are asked."""

from __future__ import annotations

import json

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.hosts import gather as gathering
from ansible_collections.taaraxtak.production.plugins.module_utils.hosts import secrets
from ansible_collections.taaraxtak.production.plugins.module_utils.hosts.gather import PARTS, Options, gather
from ansible_collections.taaraxtak.production.plugins.module_utils.hosts.running import run


def test_a_part_that_can_not_be_read_says_why_and_keeps_no_other_from_being_read():
    found = gather(["firewall", "disk"], Options())
    assert (found["firewall"]["state"], found["disk"]["state"]) == ("unreadable", "read")
    assert "the option firewall is missing" in found["firewall"]["why"]
    assert found["firewall"]["data"] == {}


def test_whatever_goes_wrong_in_a_part_is_told(monkeypatch):
    def odd(_options: Options) -> dict[str, object]:
        raise RuntimeError("out of luck")

    monkeypatch.setitem(gathering.PARTS, "accounts", odd)
    found = gather(["accounts", "disk"], Options())
    assert found["accounts"]["why"] == "RuntimeError: out of luck"
    assert found["disk"]["state"] == "read"


def test_only_what_is_asked_for_is_read():
    assert set(gather(["disk"], Options())) == {"disk"}
    assert len(PARTS) == 15


def test_a_secret_is_told_by_its_owner_and_mode_and_not_opened(tmp_path):
    secret, link = tmp_path / "key", tmp_path / "link"
    secret.write_text("s3cret")
    secret.chmod(0o640)
    link.symlink_to(secret)
    found = secrets.look([str(secret), str(link), str(tmp_path / "nothing"), str(tmp_path)])["files"]
    assert [one["kind"] for one in found] == ["file", "link", "nothing", "directory"]
    assert found[0]["mode"] == "0640"
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["/usr/bin/false"], "ended with 1: it said nothing"),
        (["/nonexistent/x"], "can't be run"),
        (["/usr/bin/ls", "/nonexistent"], "ended with 2: .*No such file"),
    ],
)
def test_a_program_that_fails_is_no_answer(command, said):
    with pytest.raises(ValueError, match=said):
        run(command)


def test_a_name_that_is_no_text_can_be_handed_over(monkeypatch):
    monkeypatch.setitem(gathering.PARTS, "accounts", lambda _options: {"files": [{"path": "/tmp/\udcff"}]})
    data = gather(["accounts"], Options())["accounts"]["data"]
    assert json.dumps(data, ensure_ascii=False).encode("utf-8")
    assert data["files"][0]["path"] == "/tmp/\\udcff"
