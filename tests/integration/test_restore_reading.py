"""Reading a dump: the whole text or a sentence, whatever lies there, and no process left whoever stops when."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import gzip
import io
import os
import signal
import subprocess
import sys
import tarfile
import time
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import DumpName
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import DumpError
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.material import (
    Material,
    from_archive,
    from_command,
    from_file,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.reading import Reading
from ansible_collections.taaraxtak.production.tests.integration.dumps_hosts import until
from ansible_collections.taaraxtak.production.tests.integration.restore_materials import (
    NAME,
    OTHER,
    Shelf,
    children_of,
    descriptors,
    flipped,
    nothing_runs,
    text,
    zstd,
)

# Compressed it is several times what all the pipes on its way hold.
LARGE = 200_000


@pytest.fixture
def shelf(tmp_path: Path) -> t.Iterator[Shelf]:
    """Whatever a test did, no child and no descriptor is left."""
    shelf = Shelf(tmp_path)
    before = descriptors()
    yield shelf
    nothing_runs(before)


def read(material: Material, **options: str) -> bytes:
    with Reading(material, **options) as reading:
        whole = b"".join(reading)
        reading.finish()
    return whole


def file_of(shelf: Shelf, file: str, content: bytes) -> Material:
    (shelf.folder / file).write_bytes(content)
    return from_file(str(shelf.folder / file))


# --- The whole text -------------------------------------------------------------------------------------------------


def test_a_large_dump_comes_whole_from_archive_and_store(shelf: Shelf) -> None:
    manifest = shelf.put(plain=text(LARGE))
    assert manifest.trailer.bytes > 8 << 20
    assert read(from_archive(shelf.open, NAME)) == text(LARGE)
    assert read(from_command([str(shelf.ssh)])) == text(LARGE)


def test_what_was_taken_grows_to_the_size(shelf: Shelf) -> None:
    shelf.put(plain=text(LARGE))
    material, seen = from_archive(shelf.open, NAME), []
    with Reading(material) as reading:
        for _piece in reading:
            seen.append(reading.taken)
    assert seen == sorted(seen)
    assert seen[0] < seen[-1] == material.size


def test_an_encrypted_dump_is_read_with_its_identity(shelf: Shelf) -> None:
    identity, encrypted = shelf.folder / "identity", dataclasses.replace(NAME, encrypted=True)
    made = subprocess.run(["age-keygen", "-o", identity], capture_output=True, text=True, check=True).stderr
    age = ["age", "--recipient", made.split()[-1]]
    data = subprocess.run(age, input=zstd(text(LARGE)), capture_output=True, check=True).stdout
    shelf.put(encrypted, text(LARGE), data)
    material = from_archive(shelf.open, encrypted)
    assert read(material, identity=str(identity)) == text(LARGE)
    with pytest.raises(DumpError, match="is encrypted, and no identity is given"):
        Reading(material)
    with pytest.raises(DumpError, match=r"the identity /nowhere .* can't be read"):
        Reading(material, identity="/nowhere")
    other = shelf.folder / "other"
    subprocess.run(["age-keygen", "-o", other], capture_output=True, check=True)
    with pytest.raises(DumpError, match="could not be unpacked: age failed with exit status 1: age: error: no ident"):
        read(material, identity=str(other))
    # Who could not write any more is not the cause.
    foreign = subprocess.run(age, input=text(LARGE), capture_output=True, check=True).stdout
    with pytest.raises(DumpError, match="could not be unpacked: zstd failed"):
        read(file_of(shelf, "y.sql.zst.age", foreign), identity=str(identity))
    cut = file_of(shelf, "x.sql.zst.age", data[:-1000])
    with pytest.raises(DumpError, match="could not be unpacked: age failed"):
        read(cut, identity=str(identity))


def test_several_gzip_members_and_zstd_frames_are_one_dump(shelf: Shelf) -> None:
    whole = text()
    assert read(file_of(shelf, "x.sql.gz", gzip.compress(whole[:900]) + gzip.compress(whole[900:]))) == whole
    assert read(file_of(shelf, "x.sql.zst", zstd(whole[:900]) + zstd(whole[900:]))) == whole


def test_a_text_that_grows_beyond_measure_is_streamed(shelf: Shelf) -> None:
    packed = subprocess.run("head -c 2000000000 /dev/zero | zstd -qc", shell=True, capture_output=True, check=True)  # noqa: S602
    material, size = file_of(shelf, "x.sql.zst", packed.stdout), 0
    assert material.size < 1 << 20
    with Reading(material) as reading:
        size = sum(map(len, reading))
    assert size == 2_000_000_000


# --- What is not whole ----------------------------------------------------------------------------------------------

SMALL, BIG = zstd(text()), zstd(text(LARGE))
GZIPPED = gzip.compress(text())


def tarred() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        member = tarfile.TarInfo("taaraxtak.sql")
        member.size = len(text())
        tar.addfile(member, io.BytesIO(text()))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        pytest.param("x.sql.zst", SMALL[:-1], "could not be unpacked: zstd failed", id="zstd cut"),
        pytest.param("x.sql.zst", BIG[: len(BIG) // 2], "could not be unpacked: zstd failed", id="zstd half"),
        pytest.param("x.sql.zst", SMALL + b"garbage", "could not be unpacked: zstd failed", id="zstd garbage"),
        pytest.param("x.sql.zst", BIG + bytes(1 << 24), "could not be unpacked: zstd failed", id="zstd much garbage"),
        pytest.param("x.sql.zst", flipped(BIG, 5 << 20), "could not be unpacked: zstd failed", id="zstd flipped"),
        pytest.param("x.sql.zst", text(), "could not be unpacked: zstd failed", id="not zstd"),
        pytest.param("x.sql.gz", GZIPPED[:-1], "gzip failed .* unexpected end of file", id="gzip cut"),
        pytest.param("x.sql.gz", GZIPPED[: len(GZIPPED) // 2], "gzip failed .* unexpected end", id="gzip half"),
        pytest.param("x.sql.gz", GZIPPED + b"garbage", "gzip failed .* trailing garbage", id="gzip garbage"),
        pytest.param("x.sql.gz", GZIPPED + bytes(9 << 20) + b"x", "gzip failed", id="gzip much garbage"),
        pytest.param("x.sql.gz", flipped(GZIPPED, len(GZIPPED) - 6), "gzip failed .*crc error", id="gzip flipped"),
        pytest.param("x.sql.gz", text(), "gzip failed .* not in gzip format", id="not gzip"),
        pytest.param("x.sql.tar.gz", gzip.compress(tarred()), "it holds a tar, not the text of a dump", id="tar.gz"),
        pytest.param("x.sql.zst", zstd(tarred()), "it holds a tar, not the text of a dump", id="tar in zstd"),
        pytest.param("x.sql", tarred(), "it holds a tar, not the text of a dump", id="tar"),
        pytest.param("x.sql", b"PGDMP\1\16\0", "custom format: make it text with pg_restore", id="custom"),
    ],
)
def test_what_is_not_whole_is_one_sentence(shelf: Shelf, file: str, content: bytes, said: str) -> None:
    with pytest.raises(DumpError, match=said) as raised:
        read(file_of(shelf, file, content))
    assert "\n" not in str(raised.value)
    assert file in str(raised.value)


def test_nothing_of_a_tar_is_given(shelf: Shelf) -> None:
    with Reading(file_of(shelf, "x.sql.tar.gz", gzip.compress(tarred()))) as reading, pytest.raises(DumpError):
        next(iter(reading))


def test_a_window_that_fills_the_memory_is_refused(shelf: Shelf) -> None:
    packed = subprocess.run(["zstd", "-qc", "--long=27"], input=text(), capture_output=True, check=True).stdout
    with pytest.raises(DumpError, match=r"zstd failed .* requires too much memory"):
        read(file_of(shelf, "x.sql.zst", packed))


@pytest.mark.parametrize("rows", [1000, LARGE])
def test_a_swapped_manifest_is_refused_by_its_digest(shelf: Shelf, rows: int) -> None:
    shelf.put(plain=text(rows))
    content = (shelf.archive / str(NAME)).read_bytes()
    # Of the same size, whole and another.
    changed = zstd(text(rows).replace(b"public.s'", b"public.t'"))
    assert len(changed) == len(content)
    (shelf.archive / str(NAME)).write_bytes(changed)
    with pytest.raises(DumpError, match=f"{NAME} is not the dump that its manifest tells of: its SHA-256 is "):
        read(from_archive(shelf.open, NAME))


def test_the_store_may_not_give_less_or_more_or_something_else(shelf: Shelf) -> None:
    size = shelf.put(plain=text(LARGE)).trailer.bytes
    shelf.put(OTHER)
    for statements, said in (
        (f"data = data[:{size // 2}]", f"was cut: {size // 2} of its {size} bytes came"),
        ("data = b''", f"was cut: 0 of its {size} bytes came"),
        ("data += b'x'", f"has more than the {size} bytes"),
        ("data += bytes(1 << 27)", f"has more than the {size} bytes"),
        ("status = 1", "the store did not give the dump: ssh failed with exit status 1"),
        ("data, status = data[:1000], 255", "the store did not give the dump: ssh failed with exit status 255: lost"),
        ("data = data[:-9] + bytes(9)", "not the dump that its manifest tells of|zstd failed"),
    ):
        shelf.connect(
            f"if sys.argv[1] == 'fetch':\n data = open({str(shelf.archive / str(NAME))!r}, 'rb').read(); status = 0\n"
            f" {statements}\n sys.stdout.buffer.write(data); sys.stderr.write('lost' if status else '')\n"
            " sys.stdout.flush(); sys.exit(status)"
        )
        with pytest.raises(DumpError, match=said) as raised:
            read(from_command([str(shelf.ssh)], name=str(NAME)))
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("at", [0, 1000])
def test_a_store_that_stops_giving_is_given_up(shelf: Shelf, at: int) -> None:
    shelf.put(plain=text(LARGE))
    shelf.connect(
        "import time\n"
        f"if sys.argv[1] == 'fetch':\n os.write(1, open({str(shelf.archive / str(NAME))!r}, 'rb').read({at}))\n"
        " time.sleep(60)"
    )
    started = time.monotonic()
    with pytest.raises(DumpError, match=rf"nothing of {NAME} came for 4 s"):
        # A busy machine may need a second to start the store at all.
        read(from_command([str(shelf.ssh)], name=str(NAME), idle=4))
    assert time.monotonic() - started < 30


# --- Readers that stop, wait, or are killed -------------------------------------------------------------------------


def sources(shelf: Shelf) -> dict[str, Material]:
    shelf.put(plain=text(LARGE))
    return {
        "archive": from_archive(shelf.open, NAME),
        "command": from_command([str(shelf.ssh)], name=str(NAME)),
        "gzip": file_of(shelf, "x.sql.gz", gzip.compress(text(LARGE), 1)),
        "plain": file_of(shelf, "x.sql", text(LARGE)),
    }


@pytest.mark.parametrize("kind", ["archive", "command", "gzip", "plain"])
@pytest.mark.parametrize("pieces", [-1, 0, 1, 3])
def test_a_reader_that_stops_early_leaves_nothing_and_was_given_nothing_whole(
    shelf: Shelf, kind: str, pieces: int
) -> None:
    material = sources(shelf)[kind]
    started = time.monotonic()
    with Reading(material) as reading:
        if pieces >= 0:
            chunks = iter(reading)
            for _ in range(pieces):
                next(chunks)
            # All pipes are full.
            time.sleep(0.2)
        with pytest.raises(DumpError, match="was not read to its end"):
            reading.finish()
    assert children_of(os.getpid()) == []
    assert time.monotonic() - started < 5


def test_a_connection_that_somebody_else_holds_open_keeps_nobody(shelf: Shelf) -> None:
    shelf.put(plain=text(LARGE))
    path = str(shelf.archive / str(NAME))
    shelf.connect(
        "import subprocess, time\n"
        f"if sys.argv[1] == 'fetch':\n os.write(1, open({path!r}, 'rb').read(900000))\n"
        " subprocess.Popen(['sleep', '10'])\n time.sleep(60)"
    )
    started = time.monotonic()
    with Reading(from_command([str(shelf.ssh)], name=str(NAME))) as reading:
        next(iter(reading))
        time.sleep(0.5)
    assert time.monotonic() - started < 5


def test_a_reader_that_waits_longer_than_the_store_may_is_no_fault(shelf: Shelf) -> None:
    shelf.put(plain=text(LARGE))
    with Reading(from_command([str(shelf.ssh)], name=str(NAME), idle=1.0)) as reading:
        chunks = iter(reading)
        whole = [next(chunks)]
        time.sleep(1.5)
        whole += chunks
        reading.finish()
    assert b"".join(whole) == text(LARGE)


def test_a_reading_is_read_once(shelf: Shelf) -> None:
    shelf.put()
    material = from_archive(shelf.open, NAME)
    with pytest.raises(TypeError):
        next(iter(Reading(material)))
    with Reading(material) as reading:
        assert b"".join(reading) == text()
        with pytest.raises(TypeError):
            next(iter(reading))


def test_a_reading_that_was_closed_gives_nothing_more(shelf: Shelf) -> None:
    shelf.put(plain=text(LARGE))
    with Reading(from_archive(shelf.open, NAME)) as reading:
        chunks = iter(reading)
        next(chunks)
    # The first piece was looked at, and is the only one that may have been taken already.
    with pytest.raises(TypeError, match="was closed"):
        next(chunks)


def test_a_disk_that_fails_is_one_sentence(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.put()
    material, real = from_archive(shelf.open, NAME), os.read

    def broken(descriptor: int, size: int) -> bytes:
        if "archive" in os.readlink(f"/proc/self/fd/{descriptor}"):  # noqa: PTH115
            raise OSError(errno.EIO, "Input/output error")
        return real(descriptor, size)

    monkeypatch.setattr(os, "read", broken)
    with pytest.raises(DumpError, match=f"{NAME} could not be read: Input/output error"):
        read(material)


def test_a_program_that_is_not_there_leaves_nothing(shelf: Shelf) -> None:
    shelf.put()
    with (
        pytest.raises(DumpError, match="zstd could not be started"),
        Reading(from_command([str(shelf.ssh)]), zstd="/nowhere/zstd"),
    ):
        pass


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("import time; sys.stdout.write('x'); sys.stdout.flush(); time.sleep(60)", ""),
        ("sys.exit(0)", "goes on after the end of what is packed in it"),
        ("sys.exit(3)", "zstd failed with exit status 3"),
        ("os.kill(os.getpid(), 9)", "zstd was ended by signal 9"),
    ],
)
def test_a_program_that_takes_nothing_is_noticed_or_ended(shelf: Shelf, script: str, said: str) -> None:
    program = shelf.folder / "zstd"
    program.write_text(f"#!{sys.executable} -I\nimport os, sys\n{script}\n")
    program.chmod(0o755)
    shelf.put(plain=text(LARGE))
    material = from_archive(shelf.open, NAME)
    if said:
        with pytest.raises(DumpError, match=said):
            read(material, zstd=str(program))
        return
    with Reading(material, zstd=str(program)) as reading, alarm(1), pytest.raises(TimeoutError):
        b"".join(reading)


@contextlib.contextmanager
def alarm(seconds: int) -> t.Iterator[None]:
    """TimeoutError within, after so long."""

    def ring(number: int, frame: types.FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_a_process_that_is_killed_leaves_no_program(shelf: Shelf) -> None:
    shelf.put(plain=text(LARGE))
    started = shelf.folder / "started"
    program = f"""
import sys, time
sys.path.insert(0, {str(shelf.lib)!r})
from dumps.restore.material import from_command
from dumps.restore.reading import Reading
with Reading(from_command([{str(shelf.ssh)!r}])) as reading:
    next(iter(reading))
    open({str(started)!r}, "w")
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-I", "-c", program]) as process:
        until(started.exists, "the reading to begin")
        left = children_of(process.pid)
        assert len(left) == 2
        process.kill()
        process.wait()
    until(lambda: not any(alive(number) for number in left), "the programs to end")


def alive(number: int) -> bool:
    """Whether the process runs; one that nobody waits for has ended all the same."""
    try:
        return (Path("/proc") / str(number) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_memory_of_all_processes_stays_small(shelf: Shelf) -> None:
    """128 MB hold the rest of a restore too, so reading may take half."""
    shelf.put(plain=text(LARGE), data=zstd(text(LARGE), "-3", "--long=25"))
    program = f"""
import pathlib, re, resource, sys
sys.path.insert(0, {str(shelf.lib)!r})
from dumps.folder import Folder
from dumps.names import DumpName
from dumps.restore.material import from_archive
from dumps.restore.reading import Reading
with Reading(from_archive(Folder({str(shelf.archive)!r}), DumpName.parse({str(NAME)!r}))) as reading:
    size = sum(map(len, reading))
    reading.finish()
own = int(re.search("VmHWM: *([0-9]+)", pathlib.Path("/proc/self/status").read_text().replace("\\t", " "))[1])
print(size, own + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    size, peak = map(int, done.stdout.split())
    assert size == len(text(LARGE))
    assert peak < 64 << 10, f"{peak >> 10} MB"


def test_globals_are_no_material(shelf: Shelf) -> None:
    name = DumpName("taaraxtak", NAME.started, "globals")
    with pytest.raises(DumpError, match="holds the cluster's roles, not a database"):
        file_of(shelf, str(name), b"x")
