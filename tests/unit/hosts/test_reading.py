"""What somebody may put where keys are looked for is not waited for, and leads nowhere."""

from __future__ import annotations

import os

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.hosts import keys
from ansible_collections.taaraxtak.production.plugins.module_utils.hosts.reading import MOST_BYTES, OddError, text


def test_a_pipe_a_link_a_folder_and_what_is_too_large_are_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "nowhere").symlink_to(tmp_path / "nothing")
    (tmp_path / "large").write_bytes(b"x" * (MOST_BYTES + 1))
    for name in ("pipe", "link", "nowhere", "large", "."):
        with pytest.raises(OddError):
            text(str(tmp_path / name))
    assert "root" in text(str(tmp_path / "link"), follow=True)
    with pytest.raises(FileNotFoundError):
        text(str(tmp_path / "nothing"))


def test_a_file_of_so_many_lines_that_each_would_be_a_finding_is_one(tmp_path):
    found: dict[str, list] = {"keys": [], "files": []}
    for lines in (1000, 500_000):
        path = tmp_path / str(lines)
        path.write_text("a\n" * lines)
        keys._add(found, str(path), ["alice"], ignored=False)
    assert len(found["keys"]) == 1000
    assert [one["problem"] for one in found["files"]] == ["", "it has more than 1000 lines"]


def test_of_what_a_link_leads_to_no_key_is_told_and_the_link_is(tmp_path):
    (tmp_path / "authorized_keys2").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "authorized_keys3")
    found: dict[str, list] = {"keys": [], "files": []}
    for name in ("authorized_keys2", "authorized_keys3", "authorized_keys4"):
        keys._add(found, str(tmp_path / name), ["alice"], ignored=True)
    assert found["keys"] == []
    assert [one["problem"] for one in found["files"]] == ["it is a link", "it is a pipe"]
