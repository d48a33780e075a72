"""tools/audit.py, as cron runs it: its status is that of a report of this very run, and somebody hears of it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "audit-report.md"
# Stands in for ansible-playbook: it writes a report of the status that it was told, or none, and ends with another.
STAND_IN = """#!/bin/sh
folder=$(printf %s "$4" | sed 's/.*"audit_folder": "\\([^"]*\\)".*/\\1/')
mkdir -p "$folder"
if [ -n "{report}" ]; then
  echo '{{"status": {report}}}' > "$folder/audit.json.new"
  mv "$folder/audit.json.new" "$folder/audit.json"
fi
printf 'Audit of x\\n  the verdict\\n\\nmore\\n' > "$folder/screen.txt"
exit {ends}
"""


@pytest.fixture
def tool(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("audit_tool", ROOT / "tools" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PLAYBOOK", tmp_path / "ansible-playbook")
    return module


def run(tool: t.Any, folder: Path, report: str, ends: int, *more: str) -> int:
    text = STAND_IN.replace("{report}", report).replace("{ends}", str(ends)).replace("{{", "{").replace("}}", "}")
    tool.PLAYBOOK.write_text(text)
    tool.PLAYBOOK.chmod(0o755)
    return tool.main(["--folder", str(folder / "audit"), *more])


@pytest.mark.parametrize(("report", "ends", "status"), [("0", 0, 0), ("2", 2, 2), ("3", 2, 3)])
def test_the_status_is_the_reports(tool, tmp_path, report, ends, status):
    assert run(tool, tmp_path, report, ends) == status


@pytest.mark.parametrize(("report", "ends"), [("", 0), ("", 2), ("0", 2), ("2", 0), ("7", 2), ("null", 2)])
def test_without_a_report_that_fits_nobody_has_looked(tool, tmp_path, report, ends):
    assert run(tool, tmp_path, report, ends) == 3


def test_an_older_report_is_never_taken_for_this_runs(tool, tmp_path, capsys):
    assert run(tool, tmp_path, "0", 0) == 0
    assert run(tool, tmp_path, "", 0) == 3
    assert "ended without a report" in capsys.readouterr().err


# It never ends, nor does what it has started, and asking it to is no use.
HANGING = """#!/bin/sh
trap '' TERM
sleep 600 &
echo $! > {pid}
echo it waits for a host
while :; do sleep 600; done
"""


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def test_an_audit_that_hangs_is_ended_with_all_that_it_has_started_and_told(tool, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tool, "GRACE", 1)
    path, heard = settings(tmp_path)
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "audit.json").write_text('{"status": 0}')
    tool.PLAYBOOK.write_text(HANGING.format(pid=tmp_path / "pid"))
    tool.PLAYBOOK.chmod(0o755)
    assert tool.main(["--folder", str(tmp_path / "audit"), "--timeout", "1", "--notify", str(path)]) == 3
    said = capsys.readouterr().err
    assert "nobody knows: the playbook did not end within 1 s" in said
    assert "it waits for a host" in said
    assert not alive(int((tmp_path / "pid").read_text()))
    assert json.loads(heard.read_text())["subject"] == "nobody could look"


@pytest.fixture
def started(tmp_path):
    """The tool as a process of its own, whose playbook hangs; ended at the end."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "bin" / "ansible-playbook").write_text(HANGING.format(pid=tmp_path / "pid"))
    (tmp_path / "bin" / "ansible-playbook").chmod(0o755)
    tool = [tmp_path / "bin" / "python", ROOT / "tools" / "audit.py", "--folder", tmp_path / "audit"]
    process = subprocess.Popen(tool, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    yield process, tool
    if process.poll() is None:
        # The playbook has a session of its own, and would outlive the tool.
        session = os.getsid(int((tmp_path / "pid").read_text()))
        process.kill()
        os.killpg(session, signal.SIGKILL)
    process.communicate()


def until(done: t.Callable[[], t.Any]) -> None:
    """Wait for it, for ten seconds."""
    end = time.monotonic() + 10
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_ends_the_audit_ends_all_that_it_has_started(started, tmp_path, number):
    """The playbook hears nothing of it by itself: it is in a session of its own, and deaf besides."""
    process, _tool = started
    process.send_signal(number)
    time.sleep(0.2)
    # Whoever asks twice must not keep it from that.
    process.send_signal(number)
    assert process.wait(30) == 128 + number
    assert not alive(int((tmp_path / "pid").read_text()))


def test_two_runs_on_one_folder_are_not_at_once(started, tmp_path):
    process, tool = started
    done = subprocess.run(tool, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "another run is under way" in done.stderr
    assert process.poll() is None
    assert "it waits for a host" in (tmp_path / "audit.log").read_text()


def test_what_a_host_has_said_moves_no_cursor_and_is_told_plain(tool, tmp_path, capsys):
    path, heard = settings(tmp_path)
    tool.PLAYBOOK.write_text("#!/bin/sh\nprintf 'a\\033[2J\\033]0;x\\007b\\r\\n'\nexit 2\n")
    tool.PLAYBOOK.chmod(0o755)
    assert tool.main(["--folder", str(tmp_path / "audit"), "--notify", str(path)]) == 3
    said = capsys.readouterr().err
    assert "a\\x1b[2J" in said
    assert not set("\x1b\x07\r") & set(said + json.loads(heard.read_text())["text"])


# Writes down what it is given, and where.
NOTING = """#!/bin/sh
echo "$ANSIBLE_COLLECTIONS_PATH" > {there}/collections
pwd > {there}/place
for one in "$@"; do echo "$one"; done > {there}/given
"""


def test_an_inventory_is_the_one_of_the_folder_that_the_audit_is_called_in(tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inventory").mkdir()
    tool.PLAYBOOK.write_text(NOTING.format(there=tmp_path))
    tool.PLAYBOOK.chmod(0o755)
    tool.main(["--folder", "audit", "--inventory", "inventory", "--inventory", "a,b"])
    assert (tmp_path / "given").read_text().splitlines()[:4] == ["-i", str(tmp_path / "inventory"), "-i", "a,b"]
    assert (tmp_path / "place").read_text().strip() == str(ROOT)


def test_a_collection_that_is_installed_runs_itself(tmp_path):
    """From anywhere, with what is installed beside it."""
    own = tmp_path / "ansible_collections" / "taaraxtak" / "production"
    own.mkdir(parents=True)
    for name in ("tools", "plugins"):
        shutil.copytree(ROOT / name, own / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "bin" / "ansible-playbook").write_text(NOTING.format(there=tmp_path))
    (tmp_path / "bin" / "ansible-playbook").chmod(0o755)
    subprocess.run(
        [tmp_path / "bin" / "python", own / "tools" / "audit.py", "--folder", tmp_path / "audit"],
        cwd=tmp_path, env={"ANSIBLE_COLLECTIONS_PATH": "/srv/others"}, check=False,
    )  # fmt: skip
    assert (tmp_path / "collections").read_text().strip() == f"{tmp_path}:/srv/others"


def test_the_log_is_for_nobody_else(tool, tmp_path):
    log = tmp_path / "audit.log"
    log.write_text("of before")
    log.chmod(0o644)
    assert run(tool, tmp_path, "0", 0) == 0
    assert log.stat().st_mode & 0o7777 == 0o600
    assert "of before" not in log.read_text()


def test_a_log_that_can_not_be_written_is_said(tool, tmp_path, capsys):
    (tmp_path / "audit.log").mkdir()
    assert run(tool, tmp_path, "0", 0) == 3
    assert "can't be written" in capsys.readouterr().err


def settings(folder: Path) -> tuple[Path, Path]:
    """A file of settings whose command writes the event down, and that file."""
    heard, command = folder / "heard.json", folder / "tell"
    command.write_text(f"#!/bin/sh\ncat > {heard}\n")
    command.chmod(0o755)
    (folder / "notify.json").write_text(json.dumps({"command": [str(command)]}))
    return folder / "notify.json", heard


@pytest.mark.parametrize(("report", "subject"), [("2", "something was found"), ("3", "nobody could look")])
def test_what_is_not_clean_is_told_with_the_screen(tool, tmp_path, report, subject):
    path, heard = settings(tmp_path)
    assert run(tool, tmp_path, report, 2, "--notify", str(path)) == int(report)
    event = json.loads(heard.read_text())
    assert (event["program"], event["ok"], event["subject"]) == ("audit", False, subject)
    assert "the verdict" in event["text"]


def test_what_is_clean_alarms_nobody(tool, tmp_path):
    path, heard = settings(tmp_path)
    assert run(tool, tmp_path, "0", 0, "--notify", str(path)) == 0
    assert not heard.exists()


def test_a_clean_audit_that_nobody_can_be_told_of_is_no_success(tool, tmp_path):
    assert run(tool, tmp_path, "0", 0, "--notify", str(tmp_path / "none.json")) == 3


def test_the_line_of_the_page_runs_as_cron_runs_it(tmp_path):
    """With an inventory that lacks everything: what could not be looked at is told, too."""
    found = re.search(r"^\d+ \d+ \* \* \* (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert found, "docs/audit-report.md has no line for cron"
    path, heard = settings(tmp_path)
    (tmp_path / "project").symlink_to(ROOT)
    (tmp_path / "inventory").write_text("all:\n")
    line = found[1]
    for there, here in (
        ("/srv/checkout", tmp_path / "project"),
        ("/srv/project/inventory/production", tmp_path / "inventory"),
        ("/srv/project/build/audit", tmp_path / "audit"),
        ("/etc/taaraxtak/audit-notify.json", path),
    ):
        assert there in line
        line = line.replace(there, str(here))
    assert "%" not in line, "cron takes % for the end of the line"
    done = subprocess.run(
        ["/bin/sh", "-c", line], env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stdout + done.stderr
    assert json.loads(heard.read_text())["subject"] == "nobody could look"
