# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Approvals: signed with a person's ssh key, and verified against the approvers' keys that lie on the host."""

from __future__ import annotations

import itertools
import os
import re
import stat
import typing as t

from ..dumps.processes import DumpError
from ..dumps.signatures import KEYGEN, Signers, signed, signer
from .records import NAMESPACE, Signed

# Deployed by the role database, root's: nobody who writes a plan can write there.
APPROVERS = "/etc/taaraxtak/allowed_approvers"
# A login. One key under two names would let a person be another, so names are plain and keys are counted.
_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}", re.ASCII)
# What ssh-keygen needs to ask for a passphrase, or an agent for the key.
_PASSED_ON = ("HOME", "SSH_AUTH_SOCK", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "DISPLAY", "TERM")
_MOST = 64 * 1024


def approver(what: Signed, signature: bytes, *, path: str = APPROVERS, keygen: str = KEYGEN) -> str:
    """The name of the person whose *signature* of *what* this is; ValueError where it is nobody's."""
    names = approvers(path)
    signers = Signers(
        path,
        keygen,
        what="plan",
        namespace=NAMESPACE,
        made_by="write the approvers into the inventory and run site.yml",
    )
    try:
        name = signers.verify(what.message, signature.decode("ascii"))
    except UnicodeDecodeError:
        raise ValueError("approval.sig is no signature: approve the plan again") from None
    except DumpError as error:
        raise ValueError(f"{error}: whatever was approved, it was not this; approve the plan again") from error
    if name not in names:
        raise ValueError(f"the signature's name {name} is none of the approvers in {path}")
    return name


def approvers(path: str = APPROVERS) -> tuple[str, ...]:
    """The names in the approvers' file; ValueError where it can't be trusted to tell one person from another."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 (opened above, so that no link is followed)
            content = file.read(_MOST)
            found = os.fstat(file.fileno())
    except OSError as error:
        raise ValueError(f"the approvers' keys could not be read from {path}: {error.strerror}") from error
    if path == APPROVERS and (found.st_uid != 0 or stat.S_IMODE(found.st_mode) & 0o022):
        raise ValueError(f"{path} can be written by others than root: run site.yml, and find out who made it so")
    names: list[str] = []
    keys: list[str] = []
    for line in content.decode("utf-8", "replace").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split()
        if _NAME.fullmatch(fields[0]) is None:
            raise ValueError(f"{path} has the name {fields[0]}: write one person's login, without patterns and commas")
        key = next((key for kind, key in itertools.pairwise(fields[1:]) if _is_kind(kind)), "")
        if not key or "cert-authority" in line:
            raise ValueError(f"{path} has no key of {fields[0]}'s own: write the line that is in the .pub file")
        names.append(fields[0])
        keys.append(key)
    if len(set(keys)) < len(keys):
        raise ValueError(f"{path} has a key twice: one key is one person's")
    if not names:
        raise ValueError(f"{path} names nobody: write the approvers into the inventory")
    return tuple(dict.fromkeys(names))


def _is_kind(word: str) -> bool:
    return re.fullmatch(r"(sk-)?(ssh|ecdsa)-[a-z0-9@.-]+", word) is not None


def sign(what: Signed, key: str, *, keygen: str = KEYGEN, environment: t.Mapping[str, str] | None = None) -> bytes:
    """The content of approval.sig: *what* signed with the file *key*, or by the agent where that is a .pub file."""
    given = os.environ if environment is None else environment
    passed = {name: given[name] for name in _PASSED_ON if name in given}
    path = os.path.abspath(key)  # noqa: PTH100 (ssh-keygen is started in another folder)
    try:
        child = signer(keygen, path, NAMESPACE, {"PATH": "/usr/bin:/bin", "LC_ALL": "C", **passed})
        try:
            return signed(child, what.message, "the plan could not be signed")
        finally:
            child.end()
    except DumpError as error:
        raise ValueError(str(error)) from error
