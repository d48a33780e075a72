# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out a plan: everything is staged beside its place first, so that a full disk leaves the host as it was."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import typing as t

from .disk import open_folder
from .plan import Action, Plan
from .wanted import Entry, name_of, parent_of

# File systems allow 255 bytes of a name; the rest is for what a staged name adds.
LONGEST_NAME_PART = 60


class PartlyWrittenError(ValueError):
    """A change failed after others were made: *done* has the paths that are changed."""

    def __init__(self, message: str, done: t.Sequence[str]) -> None:
        super().__init__(message)
        self.done = tuple(done)


def carry_out(plan: Plan) -> None:
    """Make the changes of *plan*: stage all, then put all in place.

    Raises ValueError where staging fails (the host is as it was), PartlyWrittenError where putting in place does.
    """
    _Writer(plan).run()


class _Writer:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.staged: dict[str, tuple[str, os.stat_result]] = {}
        self.aside: dict[str, str] = {}
        self.made: list[Action] = []
        self.touched: set[str] = set()

    def run(self) -> None:
        try:
            for action in self.plan.actions:
                with _naming(action):
                    self._stage(action)
        except BaseException:
            self._take_back()
            raise
        done: list[str] = []
        try:
            for step in (self._mend, self._place, self._open_up, self._remove):
                for action in self.plan.actions:
                    with _naming(action):
                        if step(action):
                            done.append(action.path)
            for path in sorted(self.touched):
                with open_folder(path) as folder:
                    os.fsync(folder)
        except (ValueError, OSError) as error:
            self._drop_staged()
            raise PartlyWrittenError(f"{error}; changed before that: {', '.join(done) or 'nothing'}", done) from error

    def _stage(self, action: Action) -> None:
        if action.verb not in ("make_folder", "write_file", "make_link"):
            return
        name = name_of(action.path)
        with open_folder(parent_of(action.path)) as folder:
            if action.verb == "make_folder":
                if action.in_the_way:
                    self.aside[action.path] = _spare_name(name)
                    os.rename(name, self.aside[action.path], src_dir_fd=folder, dst_dir_fd=folder)
                # closed until all that it is to hold is in place
                os.mkdir(name, 0o700, dir_fd=folder)
                self.made.append(action)
                return
            spare = _spare_name(name)
            try:
                seen = (
                    _stage_file(action, spare, folder)
                    if action.verb == "write_file"
                    else _stage_link(action, spare, folder)
                )
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(spare, dir_fd=folder)
                raise
            self.staged[action.path] = (spare, seen)

    def _take_back(self) -> None:
        self._drop_staged()
        for action in reversed(self.made):
            with open_folder(parent_of(action.path)) as folder:
                os.rmdir(name_of(action.path), dir_fd=folder)
        for path, spare in reversed(self.aside.items()):
            # missing where setting it aside is what failed
            with contextlib.suppress(FileNotFoundError), open_folder(parent_of(path)) as folder:
                os.rename(spare, name_of(path), src_dir_fd=folder, dst_dir_fd=folder)

    def _drop_staged(self) -> None:
        for path, (spare, _seen) in self.staged.items():
            with contextlib.suppress(FileNotFoundError), open_folder(parent_of(path)) as folder:
                os.unlink(spare, dir_fd=folder)
        self.staged.clear()

    def _mend(self, action: Action) -> bool:
        """Folders first: one that others could write to is closed before anything gets its name in it."""
        if action.verb != "mend_folder":
            return False
        _set_folder(action)
        return True

    def _place(self, action: Action) -> bool:
        if action.path not in self.staged:
            return False
        spare, expected = self.staged[action.path]
        name = name_of(action.path)
        with open_folder(parent_of(action.path)) as folder:
            seen = os.stat(spare, dir_fd=folder, follow_symlinks=False)
            if (seen.st_dev, seen.st_ino) != (expected.st_dev, expected.st_ino):
                raise ValueError(f"somebody replaced what was staged for {action.path}")
            if action.in_the_way and stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                self.aside[action.path] = _spare_name(name)
                os.rename(name, self.aside[action.path], src_dir_fd=folder, dst_dir_fd=folder)
            os.replace(spare, name, src_dir_fd=folder, dst_dir_fd=folder)
        del self.staged[action.path]
        self.touched.add(parent_of(action.path))
        return True

    def _open_up(self, action: Action) -> bool:
        if action.verb != "make_folder":
            return False
        _set_folder(action)
        self.touched.add(parent_of(action.path))
        return True

    def _remove(self, action: Action) -> bool:
        if action.path in self.aside:
            _remove_path(self.aside[action.path], parent_of(action.path), whole=True)
            return False
        if action.verb != "remove":
            return False
        # only a tree's own content goes with all that it holds
        _remove_path(name_of(action.path), parent_of(action.path), whole=action.entry is None)
        self.touched.add(parent_of(action.path))
        return True


@contextlib.contextmanager
def _naming(action: Action) -> t.Iterator[None]:
    """Say the path with an error of the system."""
    try:
        yield
    except OSError as error:
        doing = "remove" if action.verb == "remove" else "write"
        raise ValueError(f"could not {doing} {action.path}: {error.strerror or error}") from error


def _spare_name(name: str) -> str:
    """A name that programs which read a whole folder (sudoers.d, cron.d) pass over: a dot before, ~ behind."""
    return f".{name[:LONGEST_NAME_PART]}.{secrets.token_hex(8)}~"


def _entry_of(action: Action) -> Entry:
    if action.entry is None:
        raise ValueError(f"nothing says what {action.path} is to be")
    return action.entry


def _stage_file(action: Action, spare: str, folder: int) -> os.stat_result:
    entry = _entry_of(action)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(spare, flags, 0o600, dir_fd=folder), "wb") as stream:
        stream.write(entry.content)
        stream.flush()
        _set_attributes(stream.fileno(), action)
        os.fsync(stream.fileno())
        return os.fstat(stream.fileno())


def _stage_link(action: Action, spare: str, folder: int) -> os.stat_result:
    entry = _entry_of(action)
    os.symlink(entry.target, spare, dir_fd=folder)
    seen = os.stat(spare, dir_fd=folder, follow_symlinks=False)
    if (seen.st_uid, seen.st_gid) != (action.uid, action.gid):
        os.chown(spare, action.uid, action.gid, dir_fd=folder, follow_symlinks=False)
    return seen


def _set_folder(action: Action) -> None:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    with open_folder(parent_of(action.path)) as folder:
        handle = os.open(name_of(action.path), flags, dir_fd=folder)
        try:
            _set_attributes(handle, action)
        finally:
            os.close(handle)


def _set_attributes(handle: int, action: Action) -> None:
    seen = os.fstat(handle)
    if (seen.st_uid, seen.st_gid) != (action.uid, action.gid):
        os.fchown(handle, action.uid, action.gid)
    # after the owner: a change of owner clears the set-id bits
    os.fchmod(handle, _entry_of(action).mode)


def _remove_path(name: str, parent: str, *, whole: bool) -> None:
    with open_folder(parent) as folder:
        if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=folder)
        elif whole:
            shutil.rmtree(name, dir_fd=folder)
        else:
            os.rmdir(name, dir_fd=folder)
