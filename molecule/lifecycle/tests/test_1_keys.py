"""Keys are rotated: the new one is tried before the old one goes, and what was made before goes on counting."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path

import acting
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
    # Of a run that was cut while it made the key there is the private half alone.
    production.check_output("rm %s.pub", key)
    project.play("rotate_writer_key")
    assert not production.file(f"{FOLDER}/next").exists
    assert "there is no dump" in asked(production, send("store"))


@pytest.fixture
def box(production, store, send):
    """A store that only keeps files, on the other's host: the path of whom it lets in, and the words that connect."""
    lets_in, key = "/etc/ssh/devops_keys/box", f"{FOLDER}/store_keys/box"
    *words, at = (word for word in send("store") if not word.startswith("-oIdentityFile="))
    command = [*words, f"-oIdentityFile={key}", f"box@{at.partition('@')[2]}"]
    settings = {"stores": [{"name": "box", "kind": "ssh_files", "command": command, "folder": ""}]}
    store.check_output("useradd --create-home --shell /bin/sh box")
    production.check_output("ssh-keygen -q -t ed25519 -N '' -f %s", key)
    production.check_output("chgrp pgbackup %s", key)
    production.check_output("chmod 0440 %s", key)
    public = production.file(f"{key}.pub").content_string
    with (
        acting.written(store, lets_in, public),
        acting.written(production, f"{FOLDER}/dump-carry.json", json.dumps(settings)),
    ):
        yield lets_in, command
    production.check_output("rm -f %s %s.pub", key, key)
    store.check_output("userdel --remove box")


def test_the_key_of_a_store_that_only_keeps_files_is_changed_in_two_runs(project, production, store, box):
    lets_in, command = box
    key, coming = f"{FOLDER}/store_keys/box", f"{FOLDER}/next/store_keys/box"
    stores = project.variables("production_hosts")["backup_stores"]
    plain = {
        "name": "box",
        "kind": "ssh_files",
        "address": "192.0.2.9",
        "user": "box",
        "host_key": project.public("box"),
    }
    options = {"rotate_store": "box", "backup_stores": [*stores, plain]}
    before, old = production.file(key).content, production.file(f"{key}.pub").content_string.strip()
    said = project.play("rotate_writer_key", status=2, **options)
    new = production.file(f"{coming}.pub").content_string.strip()
    assert f"run this again: {new}" in said
    assert production.file(key).content == before
    store.check_output("sh -c %s", f"echo '{new}' >> {lets_in}")
    said = project.play("rotate_writer_key", **options)
    assert f"opens the store still: {old}" in said
    assert production.file(f"{key}.pub").content_string.strip() == new
    assert not production.file(f"{FOLDER}/next").exists
    store.check_output("sh -c %s", f"echo '{new}' > {lets_in}")
    assert production.run(shlex.join(["runuser", "-u", "pgbackup", "--", *command, "true"])).rc == 0


def test_the_key_that_signs_is_not_rotated_where_the_old_one_would_count_no_more(project, production):
    before = production.file(f"{FOLDER}/dump_signing_key").content
    said = project.play("rotate_signing_key", status=2)
    public = " ".join(production.file(f"{FOLDER}/dump_signing_key.pub").content_string.split()[:2])
    assert f"name: production, key: {public}, until:" in said
    assert production.file(f"{FOLDER}/dump_signing_key").content == before
    assert not production.file(f"{FOLDER}/next").exists


@pytest.fixture
def without_dump_stores(project):
    """Production alone in the inventory."""
    kept = {}

    def take(hosts) -> None:
        kept.update(hosts["store_hosts"])
        hosts["store_hosts"] = {"hosts": {}}

    project.hosts(take)
    yield
    project.hosts(lambda hosts: hosts.update(store_hosts=kept))


def test_nor_where_stores_that_only_keep_files_would_not_count_it(project, production, without_dump_stores):
    before = production.file(f"{FOLDER}/dump_signing_key").content
    public = " ".join(production.file(f"{FOLDER}/dump_signing_key.pub").content_string.split()[:2])
    box = {"name": "box", "kind": "ssh_files", "address": "192.0.2.9", "user": "u1", "host_key": project.public("box")}
    said = project.play("rotate_signing_key", status=2, backup_stores=[box])
    assert f"name: production, key: {public}, until:" in said
    assert "group_vars/all/dump_store.yml" in said
    assert not production.file(f"{FOLDER}/next").exists
    pinned = [f'production namespaces="taaraxtak-dump" {public}']
    said = project.play("rotate_signing_key", status=2, backup_stores=[box], stores_signers=pinned)
    coming = " ".join(production.file(f"{FOLDER}/next/dump_signing_key.pub").content_string.split()[:2])
    assert f"lacks {coming}:" in said
    assert production.file(f"{FOLDER}/dump_signing_key").content == before
    production.check_output("rm -r %s", f"{FOLDER}/next")


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


def test_a_rotation_of_the_key_that_signs_that_ended_half_way_goes_on(project, production, store, kept, count):
    """The private half is in its place, and the public one is not."""
    place, key = f"{FOLDER}/dump_signing_key", f"{FOLDER}/next/dump_signing_key"
    public = production.file(f"{place}.pub").content_string.strip()
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86400))
    former = project.variables("store_hosts")["dump_store_former_signers"]
    entry = {"name": "production", "key": public, "until": until}
    project.write("store_hosts", dump_store_former_signers=[*former, entry])
    before = count(store)["dumps"]["taaraxtak", "dump"]
    production.check_output("install -d %s", f"{FOLDER}/next")
    production.check_output("ssh-keygen -q -t ed25519 -N '' -f %s", key)
    production.check_output("install -o root -g pgdumper -m 0440 %s %s", key, place)
    production.check_output("rm %s", key)
    project.play("rotate_signing_key")
    there = production.file(f"{place}.pub").content_string.split()[:2]
    assert production.check_output("ssh-keygen -y -f %s", kept("dump_signing_key")).split()[:2] == there
    assert there != public.split()[:2]
    assert not production.file(f"{FOLDER}/next").exists
    found = count(store)
    assert found["dumps"]["taaraxtak", "dump"] == before + 1
    assert found["critical"] == []
