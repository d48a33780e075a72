# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let a file's own program judge the new content, on a copy that nobody else can reach."""

from __future__ import annotations

import os
import shutil
import tempfile
import typing as t
from pathlib import Path

from ..hosts.running import attempt
from .plan import Plan
from .wanted import Entry

# A validator reads one file: one that takes longer hangs.
PATIENCE_S = 60

# Enough for the line that says what is wrong.
LONGEST_ANSWER = 600

# Validators live in sbin too (visudo, sshd), which an unprivileged login's PATH leaves out.
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def validate(plan: Plan, *, planning: bool) -> tuple[str, ...]:
    """Run the validator of every file whose content changes.

    Returns notes: a validator that is not installed yet is one when *planning*. Otherwise that, and a validator that
    refuses, is a ValueError that names the file and quotes the validator, unless the content is secret.
    """
    notes = []
    for action in plan.actions:
        entry = action.entry
        if not action.new_content or entry is None or not entry.validate:
            continue
        program = shutil.which(entry.validate[0], path=SEARCH_PATH)
        if program is None:
            sentence = f"{entry.validate[0]}, which is to validate {entry.path}, is not installed"
            if not planning:
                raise ValueError(f"{sentence}: nothing was written")
            notes.append(sentence)
            continue
        _validate_one(entry, program)
    return tuple(notes)


def _validate_one(entry: Entry, program: str) -> None:
    folder = Path(tempfile.mkdtemp(prefix="host_files-"))
    # the file's own name: some validators go by the suffix
    copy = folder / Path(entry.path).name
    try:
        with os.fdopen(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as stream:
            stream.write(entry.content)
        copy.chmod(entry.mode | 0o400)
        said = _run([program, *(word.replace("%s", str(copy)) for word in entry.validate[1:])])
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error).replace(str(copy), entry.path)
        raise ValueError(f"{entry.path} could not be validated: {why}; nothing was written") from error
    finally:
        shutil.rmtree(folder)
    if said is not None:
        answer = "what it said is withheld, the content is secret" if entry.secret else said
        answer = answer.replace(str(copy), entry.path)[:LONGEST_ANSWER]
        raise ValueError(f"{entry.path} is refused by its validator {entry.validate[0]}: {answer}; nothing was written")


def _run(command: t.Sequence[str]) -> str | None:
    """None where the command succeeds; what it said where it fails."""
    done = attempt(command, together=True, patience=PATIENCE_S)
    if done.returncode == 0:
        return None
    return " / ".join(done.stdout.decode("utf-8", "replace").split("\n")).strip(" /") or f"exit {done.returncode}"
