"""host_files as Ansible runs it, on folders of its own: what it writes, and what it leaves alone."""

from __future__ import annotations

import base64
import grp
import json
import os
import pwd
import stat
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.tests.integration.conftest import run_module

ME = {"owner": pwd.getpwuid(os.geteuid()).pw_name, "group": grp.getgrgid(os.getegid()).gr_name}
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another user")


def file(path: Path, content: str = "new\n", **more: t.Any) -> dict[str, t.Any]:
    return {"path": str(path), "content": content, **ME, **more}


def folder(path: Path, **more: t.Any) -> dict[str, t.Any]:
    return {"path": str(path), "state": "directory", **ME, **more}


def tree(path: Path, contents: dict[str, str], **more: t.Any) -> dict[str, t.Any]:
    files = {name: base64.b64encode(content.encode()).decode() for name, content in contents.items()}
    return {"path": str(path), "files": files, **ME, **more}


def snapshot(root: Path) -> dict[str, tuple[t.Any, ...]]:
    """Everything below *root*, with times and inodes: a file that was written anew differs."""
    found = {}
    for path in sorted(root.rglob("*")):
        seen = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(seen.st_mode) else b""
        found[str(path.relative_to(root))] = (seen.st_mode, seen.st_uid, seen.st_ino, seen.st_mtime_ns, content)
    return found


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def ansible(module: str, arguments: dict[str, t.Any], *options: str) -> subprocess.CompletedProcess[str]:
    """Run one task of *module* on this machine, its arguments templated."""
    command = [Path(sys.executable).with_name("ansible"), "localhost", "-i", "localhost,", "-c", "local"]
    command += [
        "-e",
        f"ansible_python_interpreter={sys.executable}",
        "-m",
        module,
        "-a",
        json.dumps(arguments),
        *options,
    ]
    return subprocess.run(
        command,
        cwd=Path(__file__).resolve().parents[2],
        # the answer with the options in it, which a debugger or an older ansible-core shows
        env={**os.environ, "ANSIBLE_INJECT_INVOCATION": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def everything(tmp_path: Path) -> dict[str, t.Any]:
    """Arguments with an entry of each kind, on a host that has some of it."""
    (tmp_path / "old").write_text("old\n")
    (tmp_path / "app" / "stale").mkdir(parents=True)
    (tmp_path / "app" / "stale" / "x.py").write_text("")
    (tmp_path / "app" / "config.py").write_text("mine\n")
    return {
        "files": [
            file(tmp_path / "etc" / "deep" / "conf", mode="0600"),
            folder(tmp_path / "etc" / "deep", mode="0750"),
            folder(tmp_path / "etc"),
            {"path": str(tmp_path / "etc" / "link"), "state": "link", "target": "deep/conf", **ME},
            {"path": str(tmp_path / "old"), "state": "absent"},
            {"path": str(tmp_path / "never" / "there"), "state": "absent"},
            {"path": str(tmp_path / "binary"), "content_base64": base64.b64encode(b"\0\xff").decode(), **ME},
        ],
        "trees": [
            tree(
                tmp_path / "app",
                {"main.py": "1\n", "pkg/run": "2\n"},
                executable=["pkg/run"],
                keep=["config.py", "__pycache__"],
            )
        ],
    }


def test_everything_is_made_as_given_and_a_second_run_changes_nothing(
    tmp_path: Path, everything: dict[str, t.Any]
) -> None:
    first = run_module("host_files", everything)
    assert not first.failed, first.msg
    assert first.changed
    assert (tmp_path / "etc/deep/conf").read_text() == "new\n"
    assert mode_of(tmp_path / "etc/deep/conf") == 0o600
    assert mode_of(tmp_path / "etc/deep") == 0o750
    assert mode_of(tmp_path / "etc") == 0o755
    assert (tmp_path / "etc/link").readlink() == Path("deep/conf")
    assert not (tmp_path / "old").exists()
    assert (tmp_path / "binary").read_bytes() == b"\0\xff"
    below = {str(path.relative_to(tmp_path / "app")) for path in (tmp_path / "app").rglob("*")}
    assert below == {"main.py", "pkg", "pkg/run", "config.py"}
    assert (mode_of(tmp_path / "app/main.py"), mode_of(tmp_path / "app/pkg/run")) == (0o644, 0o755)
    before = snapshot(tmp_path)
    second = run_module("host_files", everything)
    assert not second.failed, second.msg
    assert not second.changed
    assert second.values["changed_paths"] == []
    assert snapshot(tmp_path) == before


def test_check_mode_changes_nothing_and_foretells_the_run(tmp_path: Path, everything: dict[str, t.Any]) -> None:
    before = snapshot(tmp_path)
    foretold = run_module("host_files", everything, check=True, diff=True)
    assert snapshot(tmp_path) == before
    made = run_module("host_files", everything, diff=True)
    assert foretold.changed
    for key in ("changed", "changed_paths", "diff", "notes"):
        assert foretold.values[key] == made.values[key]
    assert {entry["after_header"].split()[0] for entry in made.values["diff"]} == set(made.values["changed_paths"])


def test_no_staged_file_is_left_behind(tmp_path: Path, everything: dict[str, t.Any]) -> None:
    assert not run_module("host_files", everything).failed
    assert [path for path in tmp_path.rglob("*") if path.name.endswith("~")] == []


@pytest.mark.parametrize("key", ["content", "content_base64"])
def test_a_secret_is_neither_in_the_diff_nor_anywhere_in_the_answer(tmp_path: Path, key: str) -> None:
    secret = "hunter2 hunter2" if key == "content" else base64.b64encode(b"hunter2 hunter2").decode()
    (tmp_path / "x").write_text("hunter1")
    entry = {"path": str(tmp_path / "x"), key: secret, "secret": True, **ME}
    done = ansible("taaraxtak.production.host_files", {"files": [entry]}, "-vvv", "--diff")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "x").read_text() == "hunter2 hunter2"
    said = done.stdout + done.stderr
    assert '"invocation"' in said
    assert "(new secret content)" in said
    assert "hunter" not in said
    assert secret not in said


def test_a_misspelt_option_beside_a_secret_does_not_show_it(tmp_path: Path) -> None:
    entry = {"path": str(tmp_path / "x"), "content": "hunter2", "sekret": True}
    answer = run_module("host_files", {"files": [entry]})
    assert answer.failed
    assert "sekret" in answer.msg
    assert "hunter2" not in str(answer.values)


def test_the_diff_shows_a_content_that_is_no_secret(tmp_path: Path) -> None:
    arguments = {"files": [file(tmp_path / "x", "plain\n"), file(tmp_path / "y", "hidden\n", secret=True)]}
    answer = run_module("host_files", arguments, diff=True)
    assert answer.values["diff"][0]["after"].endswith("plain\n")
    assert "hidden" not in str(answer.values)


def test_what_a_validator_says_of_a_secret_is_withheld(tmp_path: Path) -> None:
    entry = file(tmp_path / "x", "hunter2", secret=True, validate=["grep", "-v", "hunter2", "--", "%s", "hunter2"])
    answer = run_module("host_files", {"files": [entry]})
    assert answer.failed
    assert "withheld" in answer.msg
    assert "hunter2" not in answer.msg.replace(str(tmp_path), "")


def test_a_refusing_validator_leaves_the_host_as_it_was(tmp_path: Path, everything: dict[str, t.Any]) -> None:
    bad = file(tmp_path / "zz.conf", "x\n", validate=["ls", "%s", "--no-such-option"])
    before = snapshot(tmp_path)
    answer = run_module("host_files", {**everything, "files": [*everything["files"], bad]})
    assert answer.failed
    assert not answer.changed
    assert snapshot(tmp_path) == before
    assert f"{tmp_path}/zz.conf is refused by its validator ls" in answer.msg
    assert "no-such-option" in answer.msg
    assert "nothing was written" in answer.msg


def test_a_validator_sees_the_new_content_under_the_files_own_name(tmp_path: Path) -> None:
    (tmp_path / "unit.service").write_text("old\n")
    program = tmp_path / "judge"
    program.write_text(
        f"#!{sys.executable}\nimport os, pathlib, sys\ngiven = pathlib.Path(sys.argv[1])\n"
        "assert given.name == 'unit.service', given\nassert given.read_text() == 'new\\n'\n"
        "assert given.parent.stat().st_mode & 0o777 == 0o700\n"
    )
    program.chmod(0o755)
    answer = run_module("host_files", {"files": [file(tmp_path / "unit.service", validate=[str(program), "%s"])]})
    assert not answer.failed, answer.msg
    assert (tmp_path / "unit.service").read_text() == "new\n"


def test_what_is_not_there_is_missing_in_check_mode_only(tmp_path: Path) -> None:
    there, new = tmp_path / "there", tmp_path / "new"
    there.write_text("old\n")
    arguments = {"files": [file(there), file(new)]}
    assert run_module("host_files", arguments, check=True).values["missing"] == [str(new)]
    assert run_module("host_files", arguments).values["missing"] == []


def test_a_validator_that_is_not_installed_is_a_note_in_check_mode_only(tmp_path: Path) -> None:
    arguments = {"files": [file(tmp_path / "x", validate=["no-such-validator", "%s"])]}
    planned = run_module("host_files", arguments, check=True)
    assert planned.changed
    assert "no-such-validator" in planned.values["notes"][0]
    real = run_module("host_files", arguments)
    assert real.failed
    assert "not installed" in real.msg
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "missing", [{"owner": "nosuchuser"}, {"group": "nosuchgroup"}, {"path": "{tmp}/no/such/folder/x"}]
)
def test_a_missing_owner_or_parent_is_a_note_in_check_mode_only(tmp_path: Path, missing: dict[str, str]) -> None:
    missing = {key: value.replace("{tmp}", str(tmp_path)) for key, value in missing.items()}
    arguments = {"files": [file(tmp_path / "first"), {**file(tmp_path / "x"), **missing}]}
    planned = run_module("host_files", arguments, check=True, diff=True)
    assert not planned.failed, planned.msg
    assert planned.changed
    assert len(planned.values["notes"]) == 1
    real = run_module("host_files", arguments)
    assert real.failed
    assert "there is no" in real.msg
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_the_files_place_is_replaced_and_its_target_untouched(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious\n")
    (tmp_path / "x").symlink_to(victim)
    before = snapshot(tmp_path)["victim"]
    answer = run_module("host_files", {"files": [file(tmp_path / "x", mode="0666")]})
    assert not answer.failed, answer.msg
    assert snapshot(tmp_path)["victim"] == before
    assert not (tmp_path / "x").is_symlink()
    assert (tmp_path / "x").read_text() == "new\n"


def test_mending_a_file_does_not_reach_another_name_of_it(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("new\n")
    victim.chmod(0o600)
    (tmp_path / "x").hardlink_to(victim)
    assert run_module("host_files", {"files": [file(tmp_path / "x", mode="0666")]}).changed
    assert (mode_of(victim), mode_of(tmp_path / "x")) == (0o600, 0o666)


def test_our_own_link_on_the_way_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "way").symlink_to("real")
    assert run_module("host_files", {"files": [file(tmp_path / "way" / "x")]}).changed
    assert (tmp_path / "real" / "x").read_text() == "new\n"


@ROOT_ONLY
def test_a_strangers_link_on_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "etc").mkdir()
    (tmp_path / "home" / ".ssh").symlink_to(tmp_path / "etc")
    nobody = pwd.getpwnam("nobody").pw_uid
    os.chown(tmp_path / "home", nobody, -1)
    os.lchown(tmp_path / "home" / ".ssh", nobody, -1)
    answer = run_module("host_files", {"files": [file(tmp_path / "home" / ".ssh" / "authorized_keys")]})
    assert answer.failed
    assert "link .ssh of the user nobody" in answer.msg
    assert list((tmp_path / "etc").iterdir()) == []


def test_a_link_in_a_trees_place_is_refused_and_one_below_is_replaced(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "precious").write_text("")
    (tmp_path / "linked").symlink_to(other)
    answer = run_module("host_files", {"trees": [tree(tmp_path / "linked", {"x": ""})]})
    assert answer.failed
    assert "a link is there" in answer.msg
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "sub").symlink_to(other)
    (tmp_path / "app" / "stale").symlink_to(other)
    done = run_module("host_files", {"trees": [tree(tmp_path / "app", {"sub/x": ""})]})
    assert not done.failed, done.msg
    assert [path.name for path in other.iterdir()] == ["precious"]
    assert sorted(str(path.relative_to(tmp_path / "app")) for path in (tmp_path / "app").rglob("*")) == ["sub", "sub/x"]


def test_in_a_tree_a_file_and_a_folder_may_change_places(tmp_path: Path) -> None:
    assert run_module("host_files", {"trees": [tree(tmp_path / "app", {"a/b": "1", "c": "2"})]}).changed
    swapped = {"trees": [tree(tmp_path / "app", {"a": "3", "c/d": "4"})]}
    done = run_module("host_files", swapped)
    assert not done.failed, done.msg
    assert ((tmp_path / "app/a").read_text(), (tmp_path / "app/c/d").read_text()) == ("3", "4")
    assert len(list((tmp_path / "app").rglob("*"))) == 3
    assert not run_module("host_files", swapped).changed


def test_mode_drift_is_mended(tmp_path: Path, everything: dict[str, t.Any]) -> None:
    assert run_module("host_files", everything).changed
    drifted = ["etc/deep", "etc/deep/conf", "app", "app/pkg", "app/main.py"]
    modes = {name: mode_of(tmp_path / name) for name in drifted}
    for name in drifted:
        (tmp_path / name).chmod(0o777)
    mended = run_module("host_files", everything, diff=True)
    assert sorted(mended.values["changed_paths"]) == sorted(str(tmp_path / name) for name in drifted)
    assert {name: mode_of(tmp_path / name) for name in drifted} == modes
    assert "mode: 0777" in mended.values["diff"][0]["before"]


@ROOT_ONLY
def test_owner_drift_is_mended_and_files_may_belong_to_others(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    theirs = {"owner": "nobody", "group": grp.getgrgid(nobody.pw_gid).gr_name}
    arguments = {
        "files": [
            file(tmp_path / "mine"),
            file(tmp_path / "theirs", mode="4755", **theirs),
            {"path": str(tmp_path / "link"), "state": "link", "target": "mine", **theirs},
        ],
        "trees": [tree(tmp_path / "app", {"sub/x": ""}, **theirs)],
    }
    assert run_module("host_files", arguments).changed
    for name in ("theirs", "link", "app", "app/sub", "app/sub/x"):
        assert (tmp_path / name).lstat().st_uid == nobody.pw_uid, name
        assert (tmp_path / name).lstat().st_gid == nobody.pw_gid, name
    assert mode_of(tmp_path / "theirs") == 0o4755
    assert not run_module("host_files", arguments).changed
    for name in ("mine", "theirs", "link", "app/sub"):
        os.lchown(tmp_path / name, 12345, 12345)
    mended = run_module("host_files", arguments)
    assert len(mended.values["changed_paths"]) == 4
    assert (tmp_path / "mine").lstat().st_uid == 0
    assert all((tmp_path / name).lstat().st_uid == nobody.pw_uid for name in ("theirs", "link", "app/sub"))


@pytest.mark.parametrize(
    ("path", "says"), [("relative/x", "relative"), ("{tmp}/../x", "'..'"), ("{tmp}//first", "named twice")]
)
def test_a_bad_path_is_refused_before_anything_is_written(tmp_path: Path, path: str, says: str) -> None:
    bad = {**file(tmp_path), "path": path.replace("{tmp}", str(tmp_path))}
    answer = run_module("host_files", {"files": [file(tmp_path / "first"), bad]})
    assert answer.failed
    assert says in answer.msg
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("check", [True, False])
def test_a_folder_in_a_files_place_is_refused(tmp_path: Path, check: bool) -> None:
    (tmp_path / "x").mkdir()
    answer = run_module("host_files", {"files": [file(tmp_path / "a"), file(tmp_path / "x")]}, check=check)
    assert answer.failed
    assert f"{tmp_path}/x is to be a file, but a folder is there" in answer.msg
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_tree_takes_what_the_lookup_gives(tmp_path: Path) -> None:
    for name in ("main.py", "sub/x.sql", "tests/t.py", ".git/config"):
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / name).write_text(name)
    looked_up = "{{ lookup('taaraxtak.production.folder', '%s', exclude=['tests']) }}" % (tmp_path / "source")
    done = ansible(
        "taaraxtak.production.host_files",
        {"trees": [{"path": str(tmp_path / "app"), "files": looked_up, **ME}]},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    written = {str(path.relative_to(tmp_path / "app")) for path in (tmp_path / "app").rglob("*") if path.is_file()}
    assert written == {"main.py", "sub/x.sql"}
    assert (tmp_path / "app" / "sub" / "x.sql").read_text() == "sub/x.sql"


def test_the_lookup_gives_one_dictionary_for_each_folder(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.py").write_text("")
    both = f"query('taaraxtak.production.folder', '{tmp_path}/one', '{tmp_path}/two') | map('list')"
    done = ansible("ansible.builtin.assert", {"that": [f"{both} == [['one.py'], ['two.py']]"]})
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_lookup_says_which_folder_is_missing(tmp_path: Path) -> None:
    looked_up = "{{ lookup('taaraxtak.production.folder', '%s') }}" % (tmp_path / "missing")
    done = ansible("ansible.builtin.debug", {"msg": looked_up})
    assert done.returncode != 0
    assert f"there is no folder {tmp_path}/missing on the controller" in done.stdout + done.stderr
