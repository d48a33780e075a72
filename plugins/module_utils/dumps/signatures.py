# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who signed this? ssh-keygen answers, and signs; the public keys that count are in a file of root's."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import os
import subprocess
import typing as t

from .manifest import SIGNATURE_NAMESPACE, Manifest
from .names import read_utc
from .processes import Child, FinalError, write_all

KEYGEN = "/usr/bin/ssh-keygen"
SIGNERS = "/etc/taaraxtak/dump_signers"
# It takes milliseconds.
TIMEOUT = 60.0


@dataclasses.dataclass(frozen=True)
class Signers:
    """Whose signatures count: the path of an ``allowed_signers`` file (ssh-keygen(1)), and of ssh-keygen.

    *what* is signed is a word of sentences, *namespace* what it is signed for; *made_by* says who writes the file.
    """

    path: str = SIGNERS
    keygen: str = KEYGEN
    what: str = "dump"
    namespace: str = SIGNATURE_NAMESPACE
    made_by: str = "run the role dump_store"

    def of(self, manifest: Manifest) -> str:
        """The name of who signed what is archived. A key counts that was valid when the store received it."""
        return self.verify(manifest.trailer.signed, manifest.signature, at=read_utc(manifest.received))

    def verify(self, message: bytes, signature: str, *, at: dt.datetime | None = None) -> str:
        """The name of whose armoured *signature* of *message* this is; FinalError where it is nobody's.

        The key must be valid *at* that time, in UTC, or now.
        """
        if not signature.strip():
            raise FinalError(f"the {self.what} is not signed")
        if not os.access(self.path, os.R_OK):
            raise FinalError(f"the keys that may sign could not be read from {self.path}: {self.made_by}")
        when = [f"-Overify-time={at:%Y%m%d%H%M%SZ}"] if at else []
        with _memory("signature", signature.encode()) as armoured:
            signed = f"/proc/self/fd/{armoured}"
            # One name or several: a key may stand under more than one, and any of them will do.
            name = _ask(
                [self.keygen, "-Y", "find-principals", *when, "-f", self.path, "-s", signed],
                b"",
                armoured,
                f"the {self.what} is signed by a key that is not known here, or was not valid then",
            ).partition("\n")[0]
            _ask(
                [self.keygen, "-Y", "verify", *when, "-f", self.path, "-I", name, "-n", self.namespace, "-s", signed],
                message,
                armoured,
                f"the {self.what}'s signature is wrong",
            )
        return name


def signer(
    keygen: str, key: str, namespace: str, environment: t.Mapping[str, str], *, become: t.Sequence[str] = ()
) -> Child:
    """ssh-keygen, which signs what it reads for *namespace* with the file *key*; *become* are words to run it by."""
    return Child(
        [*become, keygen, "-Y", "sign", "-n", namespace, "-f", key],
        name="ssh-keygen",
        keep_stderr=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
        env=environment,
    )


def signed(child: Child, content: bytes, failure: str) -> bytes:
    """The armoured signature of *content* by a `signer`; DumpError that begins with *failure*."""
    # It reads to the end before it says anything; where it stopped before that, its exit status says why.
    with contextlib.suppress(BrokenPipeError):
        write_all(child.input, content)
    child.close_input()
    return child.heard(failure)


def _ask(command: list[str], message: bytes, armoured: int, wrong: str) -> str:
    """What ssh-keygen says; DumpError with the sentence *wrong* where it says no."""
    with _memory("message", message) as given, _memory("answer") as said:
        child = Child(
            command,
            name="ssh-keygen",
            keep_stderr=True,
            stdin=given,
            stdout=said,
            pass_fds=[armoured],
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            cwd="/",
        )
        try:
            status = child.wait(TIMEOUT)
        finally:
            child.kill()
            child.end()
        if status != 0:
            raise FinalError(f"{wrong}: {child.complaint()}")
        return os.pread(said, 1 << 16, 0).decode("utf-8", "replace").strip()


@contextlib.contextmanager
def _memory(name: str, content: bytes = b"") -> t.Iterator[int]:
    """A file that is in memory alone, at its beginning."""
    descriptor = os.memfd_create(name)
    try:
        write_all(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
