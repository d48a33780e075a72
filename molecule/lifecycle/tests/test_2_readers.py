"""Who may fetch and open dumps changes: a new key opens before the old one does not."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

ARCHIVE = "/var/lib/taaraxtak-dumps/archive"
IDENTITY = "/etc/taaraxtak/drill-identity"
# The folder and the accounts of the one are not made yet on the other.
FOLDER = ["mkdir", "-p", "/etc/taaraxtak"]
OWNER = ["chmod", "0644", IDENTITY]
KEYS = "/etc/ssh/dump_store_keys"


@pytest.fixture(scope="module")
def address(store) -> str:
    return str(store.check_output("hostname -I").split()[0])


@pytest.fixture
def listed(project, address):
    """A function that asks the store for its dumps by a key, from this machine; None where it does not let that in."""

    def ask(key: str, account: str = "dumps-read") -> list | None:
        command = [
            "ssh",
            "-F/dev/null",
            "-oBatchMode=yes",
            "-oStrictHostKeyChecking=no",
            "-oUserKnownHostsFile=/dev/null",
        ]
        command += ["-oIdentitiesOnly=yes", "-oIdentityAgent=none", f"-oIdentityFile={project.key(key)}"]
        done = subprocess.run([*command, f"{account}@{address}", "list"], capture_output=True, text=True, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    return ask


def entry(project, network, name: str, key: str, **more: str) -> dict:
    return {"name": name, "key": project.public(key), "from": network, **more}


def test_a_reader_is_let_in_and_tried(project, network, address, listed):
    assert listed("office") is None
    project.write("store_hosts", dump_store_readers=[entry(project, network, "office", "office")])
    said = project.play("reader_keys", check=True)
    assert "comes: office from" in said
    assert listed("office") is None
    said = project.play("reader_keys", reader_key=str(project.key("office")), reader_address=address)
    assert "office sees" in said
    assert listed("office")


def test_a_key_is_not_exchanged_in_one_moment_unless_it_is_asked_for(project, network, listed):
    project.write("store_hosts", dump_store_readers=[entry(project, network, "office", "office-2027")])
    assert "Nothing was changed" in project.play("reader_keys", status=2)
    assert listed("office")
    assert listed("office-2027") is None


def test_a_reader_has_two_keys_until_the_old_one_ends(project, network, address, listed, store):
    end = time.time() + 45
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))
    both = [
        entry(project, network, "office", "office-2027"),
        entry(project, network, "office", "office", until=until),
    ]
    project.write("store_hosts", dump_store_readers=both)
    said = project.play("reader_keys", reader_key=str(project.key("office-2027")), reader_address=address)
    assert f"office at {until}" in said
    assert listed("office-2027")
    time.sleep(max(0.0, end + 1 - time.time()))
    assert listed("office") is None
    assert listed("office-2027")
    project.write("store_hosts", dump_store_readers=both[:1])
    project.play("reader_keys")
    assert project.public("office").split()[1] not in store.file(f"{KEYS}/dumps-read").content_string


def test_a_key_that_does_not_open_is_found_out(project, network, address, listed):
    """Its owner comes from elsewhere."""
    there = [entry(project, network, "office", "office-2027")]
    project.write("store_hosts", dump_store_readers=[*there, entry(project, "192.0.2.0/24", "home", "home")])
    project.play("reader_keys", status=2, reader_key=str(project.key("home")), reader_address=address)
    assert listed("home") is None
    project.write("store_hosts", dump_store_readers=there)
    project.play("reader_keys")


@pytest.fixture(scope="module")
def identity(project):
    """A function that gives age's key of a name: the path of its private half, and its public half."""

    def make(name: str) -> tuple[str, str]:
        path = project.key("office").parent / f"{name}.age"
        if not path.exists():
            subprocess.run(["age-keygen", "-o", path], check=True, capture_output=True)
        public = subprocess.run(["age-keygen", "-y", path], check=True, capture_output=True, text=True).stdout.strip()
        return str(path), public

    return make


def encrypts_for(production) -> list[str]:
    return json.loads(production.file("/etc/taaraxtak/dump-source.json").content_string)["recipients"]


@pytest.fixture
def drills_with(store, vault):
    """A function that puts age's private half where the stores have it for their drills."""

    def put(path: str) -> None:
        for host in (store, vault):
            name = host.backend.name
            for command in (["exec", name, *FOLDER], ["cp", path, f"{name}:{IDENTITY}"], ["exec", name, *OWNER]):
                subprocess.run(["podman", *command], check=True, capture_output=True)

    return put


def test_dumps_are_encrypted_for_new_recipients_and_older_ones_stay_as_they_are(
    project, production, store, dumps, count, identity, drills_with
):
    names = ("anna", "berta", "carla", "dora")
    (anna, a), (berta, b), (carla, c), (_dora, d) = (identity(name) for name in names)
    before = count(store)["dumps"]["taaraxtak", "dump"]
    drills_with(berta)
    project.write("production_hosts", backup_recipients=[a, b])
    project.play("recipients", recipients_identities=[anna, berta])
    assert dumps(store)[-1]["name"].endswith(".age")
    newest = dumps(store)[-1]["name"]
    assert store.file(f"{ARCHIVE}/{newest}.drill.json").exists
    # The store's own key must stay among them, and one of those from before.
    project.write("production_hosts", backup_recipients=[a, c])
    assert "Nothing was changed. store drills with" in project.play("recipients", status=2)
    project.write("production_hosts", backup_recipients=[c, d])
    assert "Nothing was changed" in project.play("recipients", status=2)
    project.write("production_hosts", backup_recipients=[b, c])
    project.play("recipients", check=True)
    assert encrypts_for(production) == [a, b]
    project.play("recipients", status=2, recipients_identities=[anna])
    assert encrypts_for(production) == [a, b]
    said = project.play("recipients", recipients_identities=[berta, carla])
    assert "dumps of store were encrypted before" in said
    assert encrypts_for(production) == [b, c]
    found = count(store)
    assert found["dumps"]["taaraxtak", "dump"] > before + 1
    assert found["critical"] == []
    newest = dumps(store)[-1]["name"]
    path = f"{ARCHIVE}/{newest}"
    text = subprocess.run(["podman", "exec", store.backend.name, "cat", path], check=True, capture_output=True).stdout
    opened = [
        subprocess.run(["age", "--decrypt", "--identity", key], input=text, capture_output=True, check=False).returncode
        for key in (anna, berta, carla)
    ]
    assert opened == [1, 0, 0]
