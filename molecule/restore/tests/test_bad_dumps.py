"""Dumps of the archive that are spoiled for real: the drill fails and says why."""

from __future__ import annotations

import json
import re
import typing as t

import pytest

ARCHIVE = "/var/lib/taaraxtak-dumps/archive"
DRILL = "runuser -u dumps-archive -- dump-store drill %s"

# Spoils the file or the manifest of one dump in one way, as root of the store could; %s is the folder.
SPOIL = """
import json, sys
what, name, other = sys.argv[1:]
path = "/var/lib/taaraxtak-dumps/archive/" + name
manifest = path + ".manifest.json"
with open(path, "rb") as file:
    data = bytearray(file.read())
with open(manifest) as file:
    document = json.load(file)
if what == "byte":
    data[len(data) // 2] ^= 1
elif what == "tail":
    del data[-100:]
elif what == "empty":
    del data[:]
elif what == "unsigned":
    document["signature"] = ""
elif what == "rows":
    tables = document["trailer"]["tables"]
    tables[sorted(tables)[0]]["rows"] += 1
elif what == "swapped":
    with open("/var/lib/taaraxtak-dumps/archive/" + other + ".manifest.json") as file:
        document = json.load(file)
with open(path, "wb") as file:
    file.write(data)
with open(manifest, "w") as file:
    json.dump(document, file)
"""
# What is wrong, and what both say of it.
BAD = {
    # What is not text any more may be refused before the sum of all is known.
    "byte": r"SHA-256|not what|could not be (read|unpacked)|psql command|zero byte",
    "tail": r"bytes",
    "empty": r"bytes|empty",
    "unsigned": r"sign",
    "rows": r"sign",
    "swapped": r"manifest of",
}


def dumps(store: t.Any) -> list[dict[str, t.Any]]:
    return [row for row in json.loads(store.run("dump-store list --json").stdout) if row["kind"] == "dump"]


@pytest.fixture(scope="module")
def two_dumps(production: t.Any, store: t.Any, until: t.Any) -> None:
    """There is another dump to confuse one with."""
    if len(dumps(store)) < 2:
        production.check_output("runuser -u pgbackup -- /usr/local/bin/dump-send")
        until(
            lambda: [row["archived"] for row in dumps(store)] == [True, True],
            seconds=20,
            what="the dump was not archived",
            host=store,
            unit="taaraxtak-dumps-archive",
        )


@pytest.fixture(params=BAD)
def spoiled(request: t.Any, store: t.Any, two_dumps: None) -> t.Iterator[tuple[str, str]]:
    """What is wrong, and the name of a dump with that; afterwards it is as it was."""
    name, other = dumps(store)[-1]["name"], dumps(store)[0]["name"]
    kept = "/root/kept-archive"
    store.check_output("cp -a %s %s", ARCHIVE, kept)
    try:
        store.check_output("python3 -I -c %s %s %s %s", SPOIL, request.param, name, other)
        yield request.param, name
    finally:
        store.check_output("cp -a %s/. %s", kept, ARCHIVE)
        store.check_output("rm -r %s", kept)


def test_a_good_dump_is_verified(store):
    name = dumps(store)[-1]["name"]
    done = store.run(DRILL, name)
    assert done.rc == 0, done.stderr
    assert json.loads(store.file(f"{ARCHIVE}/{name}.drill.json").content_string)["ok"]


def test_the_drill_fails_and_says_why(store, spoiled):
    what, name = spoiled
    done = store.run(DRILL, name)
    said = done.stdout + done.stderr
    assert done.rc != 0
    assert name in said
    assert re.search(BAD[what], said), said
