"""Keys are rotated: the new one is tried before the old one goes, and what was made before goes on counting."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import pytest

FOLDER = "/etc/taaraxtak"
WHO = (Path(__file__).parents[3] / "playbooks" / "files" / "who_signed.py").read_text()
# How OpenSSH writes a time.
WITHOUT = str.maketrans("", "", "-:T")
NO_DUMP = "stat taaraxtak_2000-01-01-00.00.00.sql.zst"


@pytest.fixture
def kept(production):
    """A function that keeps a copy of a key; its path."""

    def keep(name: str) -> str:
        path = f"/root/kept-{name.replace('/', '-')}"
        production.check_output("install -m 0600 %s %s", f"{FOLDER}/{name}", path)
        return path

    return keep


def asked(production, words, key: str = "", account: str = "pgbackup") -> str:
    """What the store says to the sender's key, or to another's; nothing where it does not let it in."""
    command = [f"-oIdentityFile={key}" if key and word.startswith("-oIdentityFile=") else word for word in words]
    become = [] if key else ["runuser", "-u", account, "--"]
    return production.run(shlex.join([*become, *command, NO_DUMP]) + " </dev/null").stdout


def test_check_mode_rotates_nothing(project, production, store):
    before = production.check_output("sha256sum /etc/taaraxtak/store_keys/store /etc/taaraxtak/dump_signing_key")
    opens = store.check_output("cat /etc/ssh/dump_store_keys/dumps /etc/taaraxtak/dump_signers")
    project.play("rotate_writer_key", check=True)
    project.play("rotate_signing_key", check=True, status=2)
    after = production.check_output("sha256sum /etc/taaraxtak/store_keys/store /etc/taaraxtak/dump_signing_key")
    assert after == before
    assert not production.file(f"{FOLDER}/next").exists
    assert store.check_output("cat /etc/ssh/dump_store_keys/dumps /etc/taaraxtak/dump_signers") == opens


def test_production_brings_dumps_by_a_new_key_and_the_old_one_opens_nothing(
    project, production, store, send, kept, dumps, first
):
    old, before = kept("store_keys/store"), dumps(store)
    assert "there is no dump" in asked(production, send("store"), old)
    project.play("rotate_writer_key")
    assert asked(production, send("store"), old) == ""
    assert "there is no dump" in asked(production, send("store"))
    assert len(dumps(store)) == len(before) + 1
    assert first in [one["name"] for one in dumps(store)]
    assert not production.file(f"{FOLDER}/next").exists


def test_a_rotation_that_ended_half_way_goes_on(project, production, store, send):
    """The private half is in its place, and the public one is not."""
    production.check_output("install -d %s", f"{FOLDER}/next/store_keys")
    key = f"{FOLDER}/next/store_keys/store"
    production.check_output("ssh-keygen -q -t ed25519 -N '' -f %s", key)
    production.check_output("install -o root -g pgbackup -m 0440 %s %s", key, f"{FOLDER}/store_keys/store")
    production.check_output("rm %s", key)
    assert asked(production, send("store")) == ""
    project.play("rotate_writer_key")
    assert "there is no dump" in asked(production, send("store"))


def test_where_the_new_key_is_not_let_in_the_old_one_stays(project, production, store, send):
    before = production.file(f"{FOLDER}/store_keys/store").content
    key, other = f"{FOLDER}/next/store_keys/store", "/root/another"
    production.check_output("install -d %s", f"{FOLDER}/next/store_keys")
    for path in (key, other):
        production.check_output("ssh-keygen -q -t ed25519 -N '' -f %s", path)
    # The store is told of another key than the one that is tried.
    production.check_output("cp %s.pub %s.pub", other, key)
    project.play("rotate_writer_key", status=2)
    assert production.file(f"{FOLDER}/store_keys/store").content == before
    assert "there is no dump" in asked(production, send("store"))
    production.check_output("rm -r %s", f"{FOLDER}/next")
    project.play("rotate_writer_key")
    assert "there is no dump" in asked(production, send("store"))


def test_the_key_that_signs_is_not_rotated_where_the_old_one_would_count_no_more(project, production):
    before = production.file(f"{FOLDER}/dump_signing_key").content
    said = project.play("rotate_signing_key", status=2)
    public = " ".join(production.file(f"{FOLDER}/dump_signing_key.pub").content_string.split()[:2])
    assert f"name: production, key: {public}, until:" in said
    assert production.file(f"{FOLDER}/dump_signing_key").content == before
    assert not production.file(f"{FOLDER}/next").exists


def test_the_key_that_signs_is_rotated_and_what_the_old_one_signed_counts(
    project, production, store, kept, dumps, count, first
):
    old, before = kept("dump_signing_key"), dumps(store)
    public = production.file(f"{FOLDER}/dump_signing_key.pub").content_string.strip()
    end = time.time() + 60
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))
    project.write("store_hosts", dump_store_former_signers=[{"name": "production", "key": public, "until": until}])
    project.play("rotate_signing_key")
    assert production.file(f"{FOLDER}/dump_signing_key.pub").content_string.strip() != public
    assert len(dumps(store)) == len(before) + 1
    found = count(store)
    assert found["dumps"]["taaraxtak", "dump"] == len(before) + 1
    assert found["critical"] == []
    assert f'valid-before="{until.translate(WITHOUT)}"' in store.file(f"{FOLDER}/dump_signers").content_string
    # After its end: what it signed before is drilled once more, and what it signs now is nobody's.
    time.sleep(max(0.0, end + 1 - time.time()))
    drilled = store.run("runuser -u dumps-archive -- dump-store drill %s", first)
    assert drilled.rc == 0, drilled.stdout + drilled.stderr
    assert count(store)["dumps"]["taaraxtak", "dump"] == len(before) + 1
    signature = production.check_output("sh -c %s", f"echo late | ssh-keygen -q -Y sign -n taaraxtak-dump -f {old}")
    asked_of = store.run("sh -c %s", f"echo late | python3 -I -B -c {shlex.quote(WHO)} {shlex.quote(signature)}")
    assert asked_of.rc != 0
    assert "was not valid then" in asked_of.stderr
