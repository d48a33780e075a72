"""Adopting old dumps: whole ones come in as they were, marked; cut, empty and foreign ones do not."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.adopt import old_name
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.dumps_hosts import until
from ansible_collections.taaraxtak.production.tests.integration.dumps_keeping import Keeping

OLD = "taaraxtak_2021-03-04-05.06.07.sql.tar.gz"
NEW = "taaraxtak_2021-03-04-05.06.07.sql.zst"
ROWS = b"".join(b"%d\t%s\n" % (number, hashlib.sha256(b"%d" % number).hexdigest().encode()) for number in range(30_000))
END = b"--\n-- PostgreSQL database dump complete"
TEXT = (
    b"--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 12.4 (Debian 12.4-1)\n"
    b"-- Dumped by pg_dump version 12.4\n\nSET statement_timeout = 0;\n\n"
    b"CREATE TABLE public.ooni (id integer, x text);\n\n"
    b"COPY public.ooni (id, x) FROM stdin;\n" + ROWS + b"\\.\n\n\n"
    b"SELECT pg_catalog.setval('public.ooni_id_seq', 30000, true);\n\n--\n-- PostgreSQL database dump complete\n--\n\n"
)
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another user")


@pytest.fixture
def store(tmp_path: Path) -> Keeping:
    return Keeping(tmp_path)


@pytest.fixture
def old(store: Keeping) -> Path:
    """The old folder with one good file."""
    folder = store.folder / "old"
    folder.mkdir()
    (folder / OLD).write_bytes(gzip.compress(TEXT))
    return folder


def test_a_whole_old_dump_is_adopted_as_it_was(store: Keeping, old: Path) -> None:
    before = (old / OLD).read_bytes()
    done = store.run("adopt", str(old / OLD))
    assert done.returncode == 0, done.stderr
    assert "compressed again with zstd" in done.stdout
    assert store.files(store.archive) == [NEW, f"{NEW}.manifest.json"]
    assert subprocess.run(["zstd", "-dcq", store.archive / NEW], capture_output=True, check=True).stdout == TEXT
    manifest = json.loads((store.archive / f"{NEW}.manifest.json").read_text())
    trailer = manifest["trailer"]
    assert (manifest["adopted"], manifest["signature"]) == (True, "")
    assert trailer["tables"] == {
        "public.ooni": {"rows": 30_000, "bytes": len(ROWS), "sha256": hashlib.sha256(ROWS).hexdigest()}
    }
    assert trailer["sequences"] == {"public.ooni_id_seq": {"value": 30_000, "called": True}}
    assert trailer["sha256"] == hashlib.sha256((store.archive / NEW).read_bytes()).hexdigest()
    assert trailer["versions"] == {"server": "12.4 (Debian 12.4-1)", "pg_dump": "12.4", "adopted_from": OLD}
    assert trailer["started"] == "2021-03-04T05:06:07Z"
    assert {path.stat().st_mode & 0o777 for path in store.archive.iterdir()} == {0o440}
    assert (old / OLD).read_bytes() == before


def test_an_adopted_dump_is_listed_and_nothing_is_wrong_with_it(store: Keeping, old: Path) -> None:
    store.run("adopt", str(old))
    (row,) = store.dumps()
    assert (row["name"], row["adopted"], row["rows"]) == (NEW, True, 30_000)
    assert store.sentences() == ["critical: taaraxtak: there is no archived dump"]
    assert all(one.keep for one in store.prune(dt.datetime.now(dt.UTC) + dt.timedelta(days=4000)))


def test_a_list_adopts_nothing(store: Keeping, old: Path) -> None:
    (old / "notes.txt").touch()
    (old / "x.sql.gz").touch()
    done = store.run("adopt", "--list", str(old))
    assert done.returncode == 1
    assert done.stdout == f"{old / OLD} ({(old / OLD).stat().st_size} bytes) would be adopted as {NEW}\n"
    assert "x.sql.gz is not adopted" in done.stderr
    assert "notes.txt" not in done.stdout + done.stderr
    assert store.files(store.archive) == []


def test_a_real_dump_from_the_old_pipeline_is_adopted(store: Keeping, server: Server, database: str) -> None:
    server.run("CREATE TABLE public.measured (x text)", database=database)
    server.run("INSERT INTO public.measured SELECT g::text FROM generate_series(1, 1000) g", database=database)
    cluster = server.cluster
    command = [
        cluster.bindir / "pg_dump",
        "-h",
        str(cluster.socket),
        "-p",
        str(cluster.port),
        "-U",
        "postgres",
        database,
    ]
    text = subprocess.run(command, capture_output=True, check=True).stdout
    # gzip's own program, as the old pipeline had it, and not Python's.
    packed = subprocess.run(["gzip", "-9c"], input=text, capture_output=True, check=True).stdout
    file = store.folder / "taaraxtak_2026-01-02-03.04.05.sql.tar.gz"
    file.write_bytes(packed)
    done = store.run("adopt", str(file))
    assert done.returncode == 0, done.stderr
    assert store.dumps()[0]["tables"]["public.measured"] == 1000


GOOD = gzip.compress(TEXT)


def tarred() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", format=tarfile.USTAR_FORMAT) as tar:
        member = tarfile.TarInfo("taaraxtak.sql")
        member.size = len(TEXT)
        tar.addfile(member, io.BytesIO(TEXT))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(GOOD[: len(GOOD) // 2], "it was cut", id="cut file"),
        pytest.param(GOOD[:-1], "it was cut", id="last byte missing"),
        pytest.param(gzip.compress(TEXT[: len(TEXT) // 2]), "it was cut before it was compressed", id="cut text"),
        pytest.param(gzip.compress(TEXT[: TEXT.index(END)]), "lacks its last line", id="no end"),
        pytest.param(gzip.compress(b""), "lacks its last line", id="20 bytes"),
        pytest.param(b"", "lacks its last line", id="empty"),
        pytest.param(GOOD[:100] + bytes([GOOD[100] ^ 1]) + GOOD[101:], "it", id="flipped"),
        pytest.param(GOOD[:-6] + bytes([GOOD[-6] ^ 1]) + GOOD[-5:], "can't be decompressed", id="wrong checksum"),
        pytest.param(GOOD + b"garbage", "can't be decompressed", id="garbage behind"),
        pytest.param(TEXT, "can't be decompressed", id="not compressed"),
        pytest.param(tarred(), "holds a tar", id="tar"),
        pytest.param(gzip.compress(TEXT + b"DROP TABLE public.ooni;\n"), "goes on after", id="more text"),
        pytest.param(gzip.compress(b"\\! id\n" + TEXT), "psql command", id="psql command"),
    ],
)  # fmt: skip
def test_what_is_not_whole_is_refused_and_leaves_nothing(store: Keeping, old: Path, content: bytes, words: str) -> None:
    (old / OLD).write_bytes(content)
    done = store.run("adopt", str(old / OLD))
    assert done.returncode == 1
    assert words in done.stderr
    assert store.files(store.archive) == []


def test_one_bad_file_does_not_stop_the_next(store: Keeping, old: Path) -> None:
    (old / "taaraxtak_2020-01-01-00.00.00.sql.tar.gz").write_bytes(GOOD[:-1])
    done = store.run("adopt", str(old))
    assert done.returncode == 1
    assert store.files(store.archive) == [NEW, f"{NEW}.manifest.json"]


def test_nothing_is_overwritten(store: Keeping, old: Path) -> None:
    store.run("adopt", str(old))
    before = (store.archive / f"{NEW}.manifest.json").read_bytes()
    listed = store.run("adopt", "--list", str(old)).stdout
    assert listed.endswith(f" bytes) is adopted already, as {NEW}\n")
    done = store.run("adopt", str(old))
    assert done.returncode == 1
    assert "nothing is ever overwritten" in done.stderr
    assert (store.archive / f"{NEW}.manifest.json").read_bytes() == before


def test_several_gzip_members_are_one_dump(store: Keeping, old: Path) -> None:
    (old / OLD).write_bytes(gzip.compress(TEXT[:1000]) + gzip.compress(TEXT[1000:]))
    assert store.run("adopt", str(old)).returncode == 0


@pytest.mark.parametrize("wrong", ["--bad-option", "-1"])
def test_a_zstd_that_fails_or_changes_the_text_publishes_nothing(store: Keeping, old: Path, wrong: str) -> None:
    liar = store.folder / "zstd"
    inside = "['zstd', '-q', '--bad-option']" if wrong == "--bad-option" else "['zstd', *sys.argv[1:]]"
    liar.write_text(
        "#!/usr/bin/python3 -I\nimport subprocess, sys\n"
        "data = sys.stdin.buffer.read()\n"
        f"done = subprocess.run({inside}, input=data if '--decompress' in sys.argv else data[:-1], stdout=1)\n"
        "sys.exit(done.returncode)\n"
    )
    liar.chmod(0o755)
    store.keep(zstd=str(liar))
    done = store.run("adopt", str(old))
    assert done.returncode == 1
    assert ("exit status" if wrong == "--bad-option" else "what zstd gives back is not what was read") in done.stderr
    assert store.files(store.archive) == []


def test_a_full_archive_takes_nothing(store: Keeping, old: Path) -> None:
    store.keep(reserve_bytes=1 << 60)
    done = store.run("adopt", str(old))
    assert done.returncode == 1
    assert "held in reserve" in done.stderr


def test_what_is_adopted_counts_for_the_quota(store: Keeping, old: Path) -> None:
    (store.incoming / "other").write_bytes(bytes(1000))
    size = len((old / OLD).read_bytes())
    store.keep(quota_bytes=1000 + size - 1)
    done = store.run("adopt", str(old))
    assert done.returncode == 1
    assert "the store's quota is used up: 1000 bytes lie there" in done.stderr
    assert store.files(store.archive) == []


SWOLLEN = """#!/usr/bin/python3 -I
import os, sys
sys.stdin.buffer.read({first})
os.write(1, bytes(4_000_000))
while sys.stdin.buffer.read(1 << 20):
    pass
"""


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_bytes": 3_999_999}, "larger than the 3999999 bytes that one may have"),
        ({"quota_bytes": 3_999_999}, "the store's quota is used up"),
    ],
)
@pytest.mark.parametrize("first", [1, -1])
def test_what_is_larger_than_it_may_be_is_seen_while_it_is_written(
    store: Keeping, old: Path, settings: dict[str, int], words: str, first: int
) -> None:
    """What zstd makes of it is more than the old file was, be it at its beginning or at its very end."""
    swollen = store.folder / "zstd"
    swollen.write_text(SWOLLEN.format(first=first))
    swollen.chmod(0o755)
    store.keep(zstd=str(swollen), **settings)
    done = store.run("adopt", str(old))
    assert done.returncode == 1
    assert words in done.stderr
    assert store.files(store.archive) == []


def test_a_disk_that_fills_up_meanwhile_is_seen_while_it_is_written(store: Keeping, old: Path) -> None:
    store.keep(reserve_bytes=1000)
    store.sabotage(
        "free = iter([1 << 40])\nfolder.Folder.free = lambda self: next(free, 999)",
    )
    done = store.run("adopt", str(old))
    assert done.returncode == 1
    assert "999 bytes are free" in done.stderr
    assert store.files(store.archive) == []


@ROOT_ONLY
def test_only_the_archives_owner_may_adopt(store: Keeping, old: Path) -> None:
    os.chown(store.archive, 12345, -1)
    done = store.run("adopt", str(old))
    assert done.returncode == 1
    assert "only the archive's owner" in done.stderr
    assert store.files(store.archive) == []


def test_a_file_that_is_none_is_refused(store: Keeping) -> None:
    fifo = store.folder / OLD
    os.mkfifo(fifo)
    done = store.run("adopt", str(fifo))
    assert done.returncode == 1
    assert "it is no file" in done.stderr


def test_an_empty_folder_is_said(store: Keeping) -> None:
    done = store.run("adopt", str(store.incidents))
    assert done.returncode == 1
    assert "there is no old dump there" in done.stderr


def test_a_run_that_is_asked_to_end_leaves_nothing(store: Keeping, old: Path) -> None:
    slow = store.folder / "zstd"
    slow.write_text("#!/usr/bin/python3 -I\nimport time\ntime.sleep(60)\n")
    slow.chmod(0o755)
    store.keep(zstd=str(slow))
    process = store.start("adopt", str(old))
    until(lambda: store.files(store.archive) == [f"{NEW}.partial"], "the partial")
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    _, complaint = process.communicate(timeout=30)
    assert process.returncode == 1
    assert b"SIGTERM" in complaint
    assert store.files(store.archive) == []


@pytest.mark.parametrize("call", [1, 2])
def test_a_run_that_was_killed_is_made_good_by_the_next(store: Keeping, old: Path, call: int) -> None:
    store.sabotage(f"""
import os, signal
calls, real = [], folder.Folder.link
def link(self, name, new):
    calls.append(new)
    real(self, name, new)
    if len(calls) == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
folder.Folder.link = link
""")
    assert store.run("adopt", str(old)).returncode == -signal.SIGKILL
    store.sabotage("")
    done = store.run("adopt", str(old))
    # After the second link it was adopted already.
    assert done.returncode == call - 1, done.stderr
    assert [row["name"] for row in store.dumps()] == [NEW]
    assert not [sentence for sentence in store.sentences() if NEW in sentence]


@pytest.mark.parametrize("name", [OLD, "taaraxtak_2021-03-04-05.06.07.sql.gz"])
def test_old_names_are_read(name: str) -> None:
    assert str(old_name(name)) == NEW


@pytest.mark.parametrize(
    "name",
    [
        "taaraxtak_2021-03-04-05.06.07.tar.gz",
        "taaraxtak_2021-03-04-05.06.07.sql.zst",
        "taaraxtak_2021-02-30-05.06.07.sql.gz",
        "../x_2021-03-04-05.06.07.sql.gz",
        "taaraxtak_2021-03-04-05.06.07.globals.sql.gz",
        "",
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        old_name(name)
