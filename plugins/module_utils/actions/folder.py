# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An incident's folder: its files as bytes, each read once, and what they say. Links and special files are refused."""

from __future__ import annotations

import dataclasses
import os
import re
import stat
import typing as t

from . import approval, plan, yamls
from .plan import FILE, INCIDENT, Plan
from .records import AFTER_FILE, APPROVAL_FILE, REHEARSAL_FILE, AfterAction, Rehearsal, Signed, sha256
from .states import Incident
from .written import Written

FILES = (FILE, REHEARSAL_FILE, APPROVAL_FILE, AFTER_FILE)
# Larger than any of them may be: yamls.MAX_BYTES and one more, so that too much is seen.
_MOST = yamls.MAX_BYTES + 1

Record = t.TypeVar("Record")


@dataclasses.dataclass(frozen=True)
class Folder:
    """The folder *name*, and its files by name; what is not there is not in it."""

    name: str
    files: t.Mapping[str, bytes]


def read_folder(path: str) -> Folder:
    """The files of the incident at *path*; ValueError for a name that is none, for links and for special files."""
    name = os.path.basename(os.path.normpath(path))  # noqa: PTH119 (only the last part of the text)
    if re.fullmatch(INCIDENT, name, re.ASCII) is None:
        raise ValueError(f"{name} is no incident's name, such as 2026-11-22-duplicate-rows")
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise ValueError(
            f"the incident {name} could not be read: {error.strerror}; it must be a folder, and no link"
        ) from error
    try:
        read = {file: _content(folder, file) for file in FILES}
    finally:
        os.close(folder)
    return Folder(name, {file: content for file, content in read.items() if content is not None})


def _content(folder: int, file: str) -> bytes | None:
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"{file} could not be read: {error.strerror}; it must be a plain file, and no link") from error
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise ValueError(f"{file} must be a plain file of one name, and no link")
        with open(handle, "rb", closefd=False) as opened:
            content = opened.read(_MOST)
    finally:
        os.close(handle)
    if len(content) >= _MOST:
        raise ValueError(f"{file} is larger than {yamls.MAX_BYTES // 1024} KiB")
    return content


def understand(folder: Folder, approvers: str | None = approval.APPROVERS) -> Incident:
    """What the files of *folder* say, with their digests; *approvers* None: no signature is looked at."""
    files, problems = folder.files, []

    def read(file: str, reader: t.Callable[[Written], Record]) -> Record | None:
        if file not in files:
            return None
        try:
            return reader(yamls.load(files[file], file))
        except ValueError as error:
            problems.append(str(error))
            return None

    before: Plan | None = read(FILE, plan.read)
    rehearsal = read(REHEARSAL_FILE, Rehearsal.read)
    after = read(AFTER_FILE, AfterAction.read)
    who, why = "", ""
    if APPROVAL_FILE in files and approvers is not None:
        if before is None or rehearsal is None:
            why = "there is an approval of a plan or rehearsal that can't be read: approve it again"
        else:
            signed = Signed.of(before, files[FILE], rehearsal, files[REHEARSAL_FILE])
            try:
                who = approval.approver(signed, files[APPROVAL_FILE], path=approvers)
            except ValueError as error:
                why = str(error)
    return Incident(
        name=folder.name,
        plan_sha256=_digest(files, FILE),
        plan=before,
        rehearsal_sha256=_digest(files, REHEARSAL_FILE),
        rehearsal=rehearsal,
        approval_sha256=_digest(files, APPROVAL_FILE),
        approver=who,
        approval_problem=why,
        unverified=approvers is None,
        after=after,
        problems=tuple(problems),
    )


def _digest(files: t.Mapping[str, bytes], file: str) -> str:
    return sha256(files[file]) if file in files else ""
