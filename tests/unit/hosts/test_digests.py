"""A digest is of what stands at a path now, whatever that is, and nothing is waited for."""

from __future__ import annotations

import hashlib
import os
import socket

from ansible_collections.taaraxtak.production.plugins.module_utils.hosts.digests import digest
from ansible_collections.taaraxtak.production.plugins.module_utils.hosts.secrets import look


def test_it_is_the_content_s(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"a" * 3_000_000)
    assert digest(str(path)) == hashlib.sha256(b"a" * 3_000_000).hexdigest()[:16]
    before = digest(str(path))
    path.write_bytes(b"a" * 2_999_999 + b"b")
    assert digest(str(path)) != before


def test_what_is_no_file_is_told_and_not_followed(tmp_path):
    (tmp_path / "link").symlink_to("/etc/shadow")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "s"))
        said = {name: digest(str(tmp_path / name)) for name in ("link", "pipe", "folder", "s", "none")}
    assert said == {
        "link": "link to /etc/shadow", "pipe": "pipe", "folder": "directory", "s": "socket", "none": "nothing",
    }  # fmt: skip


def test_an_access_list_is_told_by_what_it_holds(tmp_path):
    """Of the file itself, and of what a folder gives to those that are made in it."""
    acls = []
    for name, attribute, who in (("a", "access", 4711), ("b", "access", 4712), ("c", "default", 4711)):
        path = tmp_path / name
        path.mkdir()
        # Version 2; the owner, one account (7 with its number), the group, the mask, others.
        entries = [(1, 7, -1), (2, 7, who), (4, 5, -1), (16, 7, -1), (32, 5, -1)]
        value = (2).to_bytes(4, "little") + b"".join(
            tag.to_bytes(2, "little") + bits.to_bytes(2, "little") + (number % 2**32).to_bytes(4, "little")
            for tag, bits, number in entries
        )
        os.setxattr(path, f"system.posix_acl_{attribute}", value)
        acls.append(look([str(path)])["files"][0]["acl"])
    (tmp_path / "plain").write_text("")
    assert all(acls)
    assert len(set(acls)) == 3
    assert look([str(tmp_path / "plain"), str(tmp_path / "gone")])["files"][0]["acl"] == ""
