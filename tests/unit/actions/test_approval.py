"""Approvals with real keys, and an incident's folder: edits, strangers, links and special files are all refused."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import approval, folder, parsing, states
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.records import Signed, confirmation
from ansible_collections.taaraxtak.production.tests.unit.actions.incidents import (
    GOOD,
    NAME,
    NOW,
    after,
    read,
    rehearsal,
)

ENVIRONMENT: dict[str, str] = {}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Keys of alice, bob and a stranger."""
    place = tmp_path_factory.mktemp("keys")
    for who in ("alice", "bob", "stranger"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", who, "-f", str(place / who)]
        subprocess.run(command, check=True)
    return {who: place / who for who in ("alice", "bob", "stranger")}


@pytest.fixture
def approvers(keys: dict[str, Path], tmp_path: Path) -> Path:
    """The file that is deployed on the host."""
    lines = [f"{who} {keys[who].with_suffix('.pub').read_text()}" for who in ("alice", "bob")]
    path = tmp_path / "allowed_approvers"
    path.write_text("# made by the inventory\n" + "".join(lines))
    return path


@pytest.fixture
def place(tmp_path: Path, keys: dict[str, Path]) -> Path:
    """An approved incident."""
    path = tmp_path / "incidents" / NAME
    path.mkdir(parents=True)
    (path / "before.yml").write_text(GOOD)
    (path / "rehearsal.yml").write_text(rehearsal().text())
    approve(path, keys["alice"])
    return path


def approve(path: Path, key: Path, **changes: t.Any) -> None:
    """Sign what lies at *path* as the tool does, but for *changes* to what is signed."""
    text = (path / "before.yml").read_text()
    found = rehearsal()
    what = Signed.of(read(text), text.encode(), found, (path / "rehearsal.yml").read_bytes())
    (path / "approval.sig").write_bytes(approval.sign(what, str(key), environment=ENVIRONMENT))


def now_is(path: Path, approvers: Path | None) -> states.State:
    found = folder.understand(folder.read_folder(str(path)), None if approvers is None else str(approvers))
    return states.state(found, NOW)


def test_an_approved_incident_is_approved_by_its_approver(place, approvers):
    found = folder.understand(folder.read_folder(str(place)), str(approvers))
    assert states.state(found, NOW) == states.State("approved")
    assert found.approver == "alice"
    gate = {"host": "production", "database": "taaraxtak", "confirmed": confirmation(NAME, found.plan_sha256)}
    assert states.refusals(found, NOW, dba="bob", **gate) == ()
    assert "alice has approved it" in states.refusals(found, NOW, dba="alice", **gate)[0]


def test_the_plan_of_these_tests_is_honest():
    parsing.check(read())


@pytest.mark.parametrize("file", ["before.yml", "rehearsal.yml"])
def test_any_edit_after_the_approval_voids_it(place, approvers, file):
    with (place / file).open("a") as opened:
        opened.write("# a word\n")
    assert now_is(place, approvers).word == "void"


def test_an_edit_that_the_rehearsal_knows_of_voids_the_approval(place, approvers):
    """Both files changed so that they agree with each other: the signature alone stands against it."""
    edited = GOOD.replace("a.ctid > b.ctid", "a.ctid <> b.ctid")
    (place / "before.yml").write_text(edited)
    digest = folder.sha256(edited.encode())
    (place / "rehearsal.yml").write_text(rehearsal(plan_sha256=digest).text())
    found = now_is(place, approvers)
    assert found.word == "void"
    assert "signature is wrong" in found.why


def test_a_stranger_s_approval_is_none(place, approvers, keys):
    approve(place, keys["stranger"])
    assert "signed by a key that is not known here" in now_is(place, approvers).why


def test_a_signature_for_something_else_is_none(place, approvers, keys):
    text = (place / "before.yml").read_bytes()
    found = rehearsal()
    message = Signed.of(read(), text, found, (place / "rehearsal.yml").read_bytes()).message
    command = ["ssh-keygen", "-Y", "sign", "-n", "taaraxtak-dump", "-f", str(keys["alice"])]
    done = subprocess.run(command, input=message, capture_output=True, check=True)
    (place / "approval.sig").write_bytes(done.stdout)
    assert "signature is wrong" in now_is(place, approvers).why


def test_an_approval_of_another_incident_is_none(place, approvers, tmp_path):
    """The same files in another folder: the plan names its own."""
    other = tmp_path / "incidents" / "2026-11-23-again"
    place.rename(other)
    assert "before.yml is of the incident" in now_is(other, approvers).why


def test_an_expired_approval_is_none(place, approvers):
    found = folder.understand(folder.read_folder(str(place)), str(approvers))
    assert states.state(found, read().expires).word == "void"


@pytest.mark.parametrize("content", [b"", b"\n", b"no signature", b"\xff\xfe", b"-----BEGIN SSH SIGNATURE-----\n"])
def test_what_is_no_signature_is_none(place, approvers, content):
    (place / "approval.sig").write_bytes(content)
    assert now_is(place, approvers).word == "void"


def test_without_the_approvers_keys_nothing_is_approved(place, tmp_path):
    assert now_is(place, None).word == "rehearsed"
    assert "could not be read" in now_is(place, tmp_path / "nothing").why


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda text: text.replace("alice ", "alice,bob "), "one person's login"),
        (lambda text: text.replace("alice ", "* "), "one person's login"),
        (lambda text: text.replace("alice ", '"alice" '), "one person's login"),
        (lambda text: text.replace("alice ", "Alice "), "one person's login"),
        (lambda text: text + text.splitlines()[1].replace("alice", "carol", 1) + "\n", "a key twice"),
        (lambda text: text.replace("alice ssh", "alice cert-authority ssh"), "no key of alice's own"),
        (lambda text: text + "carol\n", "no key of carol's own"),
        (lambda text: "# nobody\n", "names nobody"),
    ],
)
def test_an_approvers_file_that_mixes_people_up_is_refused(place, approvers, change, problem):
    approvers.write_text(change(approvers.read_text()))
    found = now_is(place, approvers)
    assert found.word == "void"
    assert problem in found.why


def test_an_approver_s_key_may_be_bound_to_this_use_alone(place, approvers):
    text = approvers.read_text()
    approvers.write_text(text.replace("alice ssh", 'alice namespaces="taaraxtak-incident" ssh'))
    assert now_is(place, approvers).word == "approved"
    approvers.write_text(text.replace("alice ssh", 'alice namespaces="git" ssh'))
    assert now_is(place, approvers).word == "void"
    approvers.write_text(text.replace("alice ssh", 'alice valid-before="20200101" ssh'))
    assert now_is(place, approvers).word == "void"


@pytest.mark.parametrize("file", ["before.yml", "rehearsal.yml", "approval.sig", "after.yml"])
@pytest.mark.parametrize("kind", ["link", "hard link", "fifo", "folder", "dangling"])
def test_what_is_no_plain_file_is_refused(place, tmp_path, file, kind):
    path, other = place / file, tmp_path / "other"
    other.write_text(path.read_text() if path.exists() else after().text())
    path.unlink(missing_ok=True)
    if kind == "link":
        path.symlink_to(other)
    elif kind == "dangling":
        path.symlink_to(tmp_path / "nothing")
    elif kind == "hard link":
        path.hardlink_to(other)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(ValueError, match=rf"^{file} (must be|could not be read)"):
        folder.read_folder(str(place))


def test_a_folder_that_is_a_link_is_refused(place, tmp_path):
    link = tmp_path / "2026-11-24-link"
    link.symlink_to(place)
    with pytest.raises(ValueError, match="no link"):
        folder.read_folder(str(link))


def test_a_folder_that_is_no_incident_is_refused(tmp_path):
    (tmp_path / "notes").mkdir()
    with pytest.raises(ValueError, match="notes is no incident's name"):
        folder.read_folder(str(tmp_path / "notes"))


def test_a_file_that_is_too_large_is_refused(place):
    (place / "before.yml").write_bytes(b"#" * 300_000)
    with pytest.raises(ValueError, match="larger than 256 KiB"):
        folder.read_folder(str(place))


def test_a_key_that_is_not_there_is_a_sentence(place, tmp_path):
    with pytest.raises(ValueError, match="the plan could not be signed: "):
        approve(place, tmp_path / "nothing")


def test_what_was_carried_out_is_not_carried_out_again(place, approvers, keys):
    found = folder.understand(folder.read_folder(str(place)), str(approvers))
    done = after(rehearsal_sha256=found.rehearsal_sha256, approval_sha256=found.approval_sha256)
    (place / "after.yml").write_text(done.text())
    assert now_is(place, approvers).word == "carried out"
    approve(place, keys["bob"])
    assert now_is(place, approvers).word == "void"
