"""The units with which a host undoes a change by itself."""

from __future__ import annotations

import configparser
import shutil
import subprocess

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.guard.undo import (
    KEPT,
    UNITS,
    Undo,
    folder_of,
    paths_of,
    units_of,
    with_command,
)

SERVICE = f"{UNITS}/taaraxtak-undo-logins.service"
TIMER = f"{UNITS}/taaraxtak-undo-logins.timer"


def starts(*commands: tuple[str, ...]) -> list[str]:
    """The lines of the service that run something."""
    text = units_of(Undo("logins", 90, commands))[SERVICE]
    return [line for line in text.splitlines() if line.startswith("ExecStart=")]


def test_the_timer_fires_at_its_time_and_not_within_a_minute_of_it():
    timer = configparser.ConfigParser()
    timer.optionxform = str
    timer.read_string(units_of(Undo("logins", 90, ()))[TIMER])
    assert dict(timer["Timer"]) == {"OnActiveSec": "90", "AccuracySec": "100ms", "RemainAfterElapse": "no"}


def test_at_boot_it_comes_before_whoever_reads_what_it_puts_back():
    unit = configparser.ConfigParser(strict=False)
    unit.optionxform = str
    unit.read_string(units_of(Undo("logins", 90, ()))[SERVICE].partition("[Service]")[0])
    assert paths_of("logins")[0] == f"{UNITS}/sysinit.target.wants/taaraxtak-undo-logins.service"
    assert {"sysinit.target", "ssh.service", "nftables.service"} <= set(unit["Unit"]["Before"].split())
    # what waits for the whole of a boot would come too late
    assert (unit["Unit"]["DefaultDependencies"], unit["Unit"]["After"]) == ("no", "local-fs.target")


def test_what_comes_after_the_files_may_fail_and_nothing_else():
    lines = units_of(Undo("logins", 90, (("/usr/bin/first",),), (("/usr/bin/then",),)))[SERVICE].splitlines()[-3:]
    assert lines[:2] == ['ExecStart="/usr/bin/first"', 'ExecStart=-"/usr/bin/then"']
    assert lines[2].startswith('ExecStart="/usr/bin/rm"')


def test_what_the_undo_needs_is_removed_last():
    lines = starts(("/usr/bin/true",))
    assert len(lines) == 2
    for path in (*paths_of("logins"), f"{KEPT}/logins"):
        assert f'"{path}"' in lines[-1]


def test_one_more_command_comes_after_those_that_undo_and_before_the_last():
    text = units_of(Undo("logins", 90, (("/usr/bin/first",),)))[SERVICE]
    more = with_command(text, ("/usr/bin/then", "%n"))
    before, after = text.splitlines(), more.splitlines()
    assert after == [*before[:-1], 'ExecStart=-"/usr/bin/then" "%%n"', before[-1]]


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("a b", '"a b"'),
        ("%n", '"%%n"'),
        ("$HOME", '"$$HOME"'),
        ("a\\tb", '"a\\\\tb"'),
        ('a"b', '"a\\"b"'),
        ("; /bin/sh", '"; /bin/sh"'),
        ("", '""'),
    ],
)
def test_a_word_is_one_word_and_nothing_in_it_is_expanded(word, written):
    assert starts(("/usr/bin/echo", word))[0] == f'ExecStart="/usr/bin/echo" {written}'


@pytest.mark.parametrize("word", ["a\nExecStart=/bin/sh", "a\rb", "a\0b", "\x7f"])
def test_a_command_can_not_begin_another_line(word):
    with pytest.raises(ValueError, match="can't hold"):
        starts(("/usr/bin/echo", word))


@pytest.mark.parametrize("command", [(), ("true",), ("-/usr/bin/true",), ("",)])
def test_a_command_is_named_by_its_whole_path(command):
    with pytest.raises(ValueError, match="absolute path"):
        starts(command)


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "a.b", "-a", "a b", "a" * 32, "a\n"])
def test_a_name_leads_nowhere_else(name):
    with pytest.raises(ValueError, match="can't name a change"):
        folder_of(name)


@pytest.mark.parametrize("seconds", [0, 4, 3601, -1])
def test_a_time_in_which_nobody_could_confirm_is_refused(seconds):
    with pytest.raises(ValueError, match="5 to 3600"):
        units_of(Undo("logins", seconds, ()))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_units(tmp_path):
    for path, text in units_of(Undo("logins", 90, (("/usr/bin/echo", 'a "b" %c $D \\e'),))).items():
        (tmp_path / path.rpartition("/")[2]).write_text(text)
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, tmp_path.glob("*.*"))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    ours = [line for line in (said.stderr + said.stdout).splitlines() if "taaraxtak-undo" in line]
    assert ours == []
