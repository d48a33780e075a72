"""Dumps of the archive that are spoiled for real: the drill fails and says why. Each run drills two of them."""

from __future__ import annotations

import json
import re
import typing as t

import pytest

ARCHIVE = "/var/lib/taaraxtak-dumps/archive"
KEPT = "/root/kept-archive"

# Spoils the file or the manifest of one dump in one way, as root of the store could; the other one gives its manifest.
SPOIL = f"""
import json, sys
what, name, other = sys.argv[1:]
path = "{ARCHIVE}/" + name
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
    with open("{KEPT}/" + other + ".manifest.json") as file:
        document = json.load(file)
with open(path, "wb") as file:
    file.write(data)
with open(manifest, "w") as file:
    json.dump(document, file)
"""
# What is wrong, and what is said of it; the same is wrong with both dumps where a run has one word for them.
RUNS = (("byte", "tail"), ("empty", "unsigned"), ("rows", "rows"), ("swapped", "swapped"))
BAD = {
    # What is not text any more may be refused before the sum of all is known.
    "byte": r"SHA-256|not what|could not be (read|unpacked)|psql command|zero byte",
    "tail": r"bytes",
    "empty": r"bytes|empty",
    "unsigned": r"sign",
    "rows": r"sign",
    "swapped": r"manifest of",
}


@pytest.fixture(scope="module")
def two(store: t.Any) -> tuple[str, str]:
    """The two newest dumps."""
    rows = json.loads(store.run("dump-store list --json").stdout)
    first, second = [row["name"] for row in rows if row["kind"] == "dump" and row["archived"]][-2:]
    return first, second


def drill(store: t.Any, names: tuple[str, str]) -> t.Any:
    return store.run("runuser -u dumps-archive -- dump-store drill %s %s", *names)


@pytest.fixture(scope="module")
def said(store: t.Any, two: tuple[str, str]) -> t.Iterator[dict[str, list[str]]]:
    """What the drills say of each way of being bad, a sentence for each such dump; then all is as it was."""
    heard: dict[str, list[str]] = {what: [] for what in BAD}
    store.check_output("cp -a %s %s", ARCHIVE, KEPT)
    try:
        for run in RUNS:
            for what, name, other in zip(run, two, reversed(two), strict=True):
                store.check_output("python3 -I -c %s %s %s %s", SPOIL, what, name, other)
            done = drill(store, two)
            assert done.rc == 1, (run, done.stdout, done.stderr)
            for what, name in zip(run, two, strict=True):
                heard[what] += [line for line in (done.stdout + done.stderr).splitlines() if name in line]
            store.check_output("cp -a %s/. %s", KEPT, ARCHIVE)
        yield heard
    finally:
        # What these drills say; test_drill.py drills the dumps again, now that they are good.
        store.check_output("rm -f %s %s", *(f"{ARCHIVE}/{name}.drill.json" for name in two))
        store.check_output("cp -a %s/. %s", KEPT, ARCHIVE)
        store.check_output("rm -r %s", KEPT)


@pytest.mark.parametrize("what", BAD)
def test_the_drill_fails_and_says_why(said, what):
    expected = sum(run.count(what) for run in RUNS)
    reasons = [line for line in said[what] if "failed" in line and re.search(BAD[what], line)]
    assert len(reasons) >= expected, said[what]
    assert not [line for line in said[what] if "is verified" in line]
