"""Stores that only keep files, behind a real sshd and a server that speaks S3: a dump is whole there, or no dump."""

from __future__ import annotations

import json
import signal
import time
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.frames import prefix, section
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.manifest import Abort, encode
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.plain.guarantees import loses
from ansible_collections.taaraxtak.production.tests.integration.dumps_hosts import until
from ansible_collections.taaraxtak.production.tests.integration.dumps_offers import DATA, NAME, name_of
from ansible_collections.taaraxtak.production.tests.integration.plain_hosts import KINDS, Plain

MANIFEST = f"{NAME}.manifest.json"
WHOLE = [NAME, MANIFEST]
BIG = bytes(range(256)) * 40_000
# Where a host dies: the method, and of which file.
CUTS = {
    "reading back": ("read", "name.endswith('.zst' if self.temporary('') == '' else '.zst.partial')"),
    "the manifest": ("write", "'.manifest.json' in name"),
    "its name": ("place_file", "name.endswith('.json')"),
}


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest) -> t.Iterator[Plain]:
    with Plain(request.param) as plain:
        yield plain


def test_a_dump_is_there_once_it_was_read_back_and_its_manifest_says_what_the_store_loses(store: Plain) -> None:
    offer = store.offers.offer()
    assert store.stat(NAME) == {"ok": False, "reason": f"there is no dump {NAME} here", "final": False}
    answer = store.give(offer)
    trailer = json.loads(offer.trailer)
    assert answer == {"ok": True, "name": NAME, "bytes": len(DATA), "sha256": trailer["sha256"]}
    assert store.files() == WHOLE
    assert store.read(NAME) == DATA
    manifest = json.loads(store.read(MANIFEST))
    assert (manifest["trailer"], manifest["signature"].encode()) == (trailer, offer.signature)
    assert manifest["store"] == {"kind": store.kind, "loses": list(loses(store.kind))}
    assert store.stat(NAME) == answer


def test_a_reader_lists_and_fetches_what_was_sent(store: Plain) -> None:
    for day in (2, 1):
        assert store.give(store.offers.offer(name_of(day), data=BIG + bytes([day])))["ok"]
    assert store.give(store.offers.offer(name_of(1, kind="globals"), tables={}))["ok"]
    assert sorted(store.dumps()) == sorted([name_of(1), name_of(2), name_of(1, kind="globals")])
    assert store.carry("fetch", name_of(2)).stdout == BIG + b"\x02"
    assert json.loads(store.carry("manifest", name_of(2)).stdout)["trailer"]["name"] == name_of(2)
    missing = store.carry("fetch", name_of(3))
    assert (missing.returncode, missing.stdout) == (1, b"")
    assert f"there is no dump {name_of(3)} here" in missing.stderr.decode()


def test_nothing_is_overwritten(store: Plain) -> None:
    assert store.give(store.offers.offer())["ok"]
    answer = store.give(store.offers.offer(data=b"another dump of the same second"))
    assert "is here already, and nothing is ever overwritten" in answer["reason"]
    assert store.read(NAME) == DATA
    assert store.files() == WHOLE


@pytest.mark.parametrize("wrong", ["flipped", "unsigned", "strange key", "aborted", "cut", "cut in the trailer"])
def test_what_is_not_whole_and_signed_is_no_dump_there(store: Plain, wrong: str) -> None:
    offer = store.offers.offer(data=BIG)
    stream = offer.stream()
    if wrong == "flipped":
        offer.data = BIG[:-1] + b"?"
        stream = offer.stream()
    elif wrong == "unsigned":
        offer.signature = b""
        stream = offer.stream()
    elif wrong == "strange key":
        offer.signature = store.offers.sign(offer.trailer, key=store.offers.make_key("strange"))
        stream = offer.stream()
    elif wrong == "aborted":
        aborted = section(encode(Abort(reason="pg_dump died").document())) + section(b"")
        stream = section(offer.header) + section(BIG) + aborted
    else:
        stream = stream[: 2_000_000 if wrong == "cut" else -1000]
    done = store.carry("receive", given=stream)
    assert done.returncode == 1, done
    assert not json.loads(done.stdout)["ok"]
    assert store.files() == []
    assert store.dumps() == []


def test_what_comes_back_other_than_it_went_is_no_dump(store: Plain) -> None:
    store.script(
        "from dumps.plain import files, s3, sftp, ssh_files\n"
        "for edge in (s3.Bucket, sftp.Sftp, ssh_files.SshFiles):\n"
        "    def read(self, name, read=edge.read):\n"
        "        for piece in read(self, name):\n"
        "            yield piece if name == 'index' else piece[:-1] + b'?'\n"
        "    edge.read = read\n"
    )
    answer = store.give(store.offers.offer())
    assert f"read back, {NAME} at box has {len(DATA)} bytes and the sha256" in answer["reason"]
    assert store.files() == []


def test_a_run_that_is_killed_leaves_no_dump_and_is_swept(store: Plain) -> None:
    offer = store.offers.offer(data=BIG)
    with store.start("receive") as process:
        assert process.stdin is not None
        process.stdin.write(section(offer.header) + prefix(len(BIG) // 16) + BIG[: len(BIG) // 32])
        process.stdin.flush()
        time.sleep(1)
        process.send_signal(signal.SIGKILL)
    assert not set(store.files()) & set(WHOLE)
    assert store.dumps() == []
    # Its name is of January: to a pruning host it is old. What carried for it may still be at its end.
    until(lambda: store.carry("prune").returncode == 0 and store.files() == [], "the rest to be swept")


def test_an_interrupted_run_leaves_nothing(store: Plain) -> None:
    offer = store.offers.offer(data=BIG)
    with store.start("receive") as process:
        assert process.stdin is not None
        process.stdin.write(section(offer.header) + prefix(len(BIG) // 16) + BIG[: len(BIG) // 32])
        process.stdin.flush()
        # What is begun there after it was removed would stay until it is swept.
        until(lambda: store.files() != [], "something of it to be there")
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert "interrupted by SIGTERM" in json.loads(process.stdout.read())["reason"]
    assert store.files() == []


def test_a_manifest_that_was_tampered_with_counts_for_nothing_and_is_told(store: Plain) -> None:
    assert store.give(store.offers.offer())["ok"]
    manifest = json.loads(store.read(MANIFEST))
    manifest["trailer"]["tables"]["public.few"]["rows"] = 3
    store.put(MANIFEST, json.dumps(manifest).encode() + b"\n")
    done = store.carry("check", "--json")
    assert done.returncode == 2
    assert "does not count: the dump's signature is wrong" in done.stdout.decode()


def test_a_store_that_is_not_reached_has_no_answer(store: Plain) -> None:
    store.place["command"] = ["/bin/false"]
    store.configure()
    assert "there is no dump" not in store.stat(NAME)["reason"]
    assert not store.give(store.offers.offer())["ok"]
    assert store.carry("check").returncode == 2


def test_a_box_gets_cat_and_mv_alone() -> None:
    with Plain("ssh_files") as store:
        for day in range(1, 4):
            assert store.give(store.offers.offer(name_of(day)))["ok"]
        store.configure(keep={"daily": 0, "weekly": 0, "monthly": 0, "minimum": 1, "young_hours": 0})
        assert store.carry("prune").returncode == 0
        assert store.dumps() == [name_of(3)]
        assert store.files() == [name_of(3), f"{name_of(3)}.manifest.json"]
        asked = store.log.read_text().splitlines()
        assert {line.split()[0] for line in asked} == {"cat", "mv"}
        # What was removed takes no room.
        assert (store.on_disk / "removed").stat().st_size == 0


def test_a_box_whose_mv_fails_holds_no_dump() -> None:
    with Plain("ssh_files") as store:
        (store.folder / "broken").touch()
        assert "the disk is full" in store.give(store.offers.offer())["reason"]
        assert store.dumps() == []
        assert store.stat(NAME)["reason"] == f"there is no dump {NAME} here"


def test_where_the_answer_to_the_manifests_name_is_lost_no_dump_without_data_is_left(store: Plain) -> None:
    store.sabotage(
        "place_file", "real(self, name)\nif name.endswith('.json'):\n    raise DumpError('the answer was lost')"
    )
    assert store.give(store.offers.offer())["reason"] == "the answer was lost"
    assert store.files() == []
    assert store.stat(NAME)["reason"] == f"there is no dump {NAME} here"


def test_where_the_published_manifest_stays_so_do_the_data_and_the_sender_gets_no_answer(store: Plain) -> None:
    store.sabotage("remove", "if '.json' in name:\n    raise DumpError('refused')\nreal(self, name)")
    store.sabotage("place_file", "real(self, name)\nif name.endswith('.json'):\n    raise DumpError('lost')", more=True)
    done = store.carry("receive", given=store.offers.offer().stream())
    assert (done.returncode, done.stdout.strip()) == (1, b"")
    assert "whether the dump is there is not known" in done.stderr.decode()
    store.script("")
    assert store.stat(NAME)["ok"]
    assert store.carry("fetch", NAME).stdout == DATA


def test_a_connection_that_breaks_does_not_keep_what_was_written_from_going(store: Plain) -> None:
    store.sabotage(
        "place_file",
        "if getattr(self, '_session', None):\n    self._session._run.child.kill()\n    real(self, name)\n"
        "raise DumpError('it broke')",
    )
    assert not store.give(store.offers.offer())["ok"]
    assert store.files() == []


@pytest.mark.parametrize("cut", CUTS)
def test_a_host_that_dies_before_it_was_a_dump_leaves_what_is_swept(store: Plain, cut: str) -> None:
    if (store.kind, cut) == ("s3", "its name"):
        pytest.skip("an object has its name once it was written: then it is a dump")
    method, when = CUTS[cut]
    store.sabotage(method, f"if {when}:\n    os._exit(9)\nreturn real(self, name, *more)")
    assert store.carry("receive", given=store.offers.offer().stream()).returncode == 9
    assert store.files() != []
    store.script("")
    assert store.dumps() == []
    assert store.carry("prune").returncode == 0
    assert store.files() == []
    assert "has no manifest" not in store.carry("check").stdout.decode()


def test_a_box_that_breaks_off_after_the_last_mv_holds_no_dump_without_data() -> None:
    with Plain("ssh_files") as store:
        (store.folder / "lost").touch()
        assert not store.give(store.offers.offer())["ok"]
        assert store.files() == []
        assert store.stat(NAME)["reason"] == f"there is no dump {NAME} here"


def test_a_box_that_takes_no_other_command_after_the_last_mv_keeps_the_whole_dump() -> None:
    with Plain("ssh_files") as store:
        (store.folder / "lost").write_text("and no other mv")
        store.folder.chmod(0o777)
        done = store.carry("receive", given=store.offers.offer().stream())
        assert (done.returncode, done.stdout.strip()) == (1, b"")
        assert store.files() == WHOLE
        assert store.stat(NAME)["ok"]
