# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Child processes and pipes: children that die with us and are always waited for, writes that are whole or fail."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import select
import signal
import subprocess
import sys
import time
import typing as t

# As large as an ordinary user may ask for (/proc/sys/fs/pipe-max-size): fewer, larger reads.
PIPE_SIZE = 1 << 20
# What a child may take to end after it was told to: then it is killed.
GRACE = 5.0
# The end of a program's messages says why it failed.
MESSAGE_LIMIT = 2000
_PR_SET_PDEATHSIG = 1
# What asks a program to end.
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_LIBC = ctypes.CDLL(None, use_errno=True)


class DumpError(Exception):
    """What makes a dump fail, in a sentence."""

    # Whether trying again would change nothing.
    final = False


class FinalError(DumpError):
    """What trying again would not change."""

    final = True


def hold_signals() -> None:
    """From here to the end of this process, no signal that asks it to end comes between: what is left is short.

    One that came before is still handled here, so its handler may raise here.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)


def fresh_signals() -> None:
    """In a child before its program begins: what asks it to end does so, whatever we ignore or hold back."""
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    # What a program is started with it may never undo.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def widen(descriptor: int) -> None:
    """Let the pipe hold `PIPE_SIZE`; what is no pipe, or may not be widened, works as it is."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    except OSError as error:
        if error.errno not in (errno.EBADF, errno.EINVAL, errno.EPERM, errno.EBUSY, errno.ENOTSUP, errno.ENOTTY):
            raise


def write_all(descriptor: int, *parts: bytes) -> None:
    """Write the parts, one after the other, wholly."""
    rest = [memoryview(part) for part in parts if part]
    while rest:
        written = os.writev(descriptor, rest)
        while rest and written >= len(rest[0]):
            written -= len(rest.pop(0))
        if rest and written:
            rest[0] = rest[0][written:]


def say(program: str, text: str, *, error: bool = False) -> None:
    """One line for the journal or the person who started it."""
    show(sys.stderr if error else sys.stdout, f"{program}: {text}\n")


def show(stream: t.TextIO, text: str) -> None:
    """Write *text* for whoever reads it; where nobody can any more, that changes nothing."""
    with contextlib.suppress(ValueError):
        try:
            stream.write(text)
            stream.flush()
        except OSError:
            # What is left in its buffer must not fail at this process's end, whose status says how it went.
            with contextlib.suppress(OSError):
                nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)


class Child:
    """A program that is killed when this process dies, however it dies, and that `end` always waits for."""

    def __init__(self, arguments: t.Sequence[str], *, name: str, keep_stderr: bool = False, **options: t.Any) -> None:
        self.name = name
        self._ended_by_us = False
        # What it says on stderr is kept in memory, to go into the reason; it needs no thread that reads.
        self._stderr = os.memfd_create("stderr") if keep_stderr else None
        self._said = ""
        if self._stderr is not None:
            options["stderr"] = self._stderr
        parent = os.getpid()

        def die_with_parent() -> None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            # What its starter holds back while it starts it would hold back for ever.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)
            if os.getppid() != parent:
                os._exit(1)

        try:
            # Between fork and exec only libc is called, and no thread that exists holds a lock then. The signal comes
            # when the THREAD that forked ends: so children are started in the main thread alone.
            # These programs run without Ansible: there is no module whose run_command could be called.
            # pylint: disable-next=ansible-bad-function
            self.process = subprocess.Popen(
                list(arguments), bufsize=0, preexec_fn=die_with_parent, restore_signals=True, **options
            )
        except (OSError, subprocess.SubprocessError) as error:
            self._close_stderr()
            raise DumpError(f"{name} could not be started: {error}") from error
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                widen(pipe.fileno())

    @property
    def input(self) -> int:
        """The descriptor of its standard input."""
        if self.process.stdin is None:
            raise TypeError(f"{self.name} was started without a pipe to it")
        return self.process.stdin.fileno()

    @property
    def output(self) -> int:
        """The descriptor of its standard output."""
        if self.process.stdout is None:
            raise TypeError(f"{self.name} was started without a pipe from it")
        return self.process.stdout.fileno()

    def close_input(self) -> None:
        """Let it read the end of its standard input."""
        if self.process.stdin is not None:
            self.process.stdin.close()

    def close_output(self) -> None:
        """Leave its standard output to another child that was given it."""
        if self.process.stdout is not None:
            self.process.stdout.close()

    def kill(self) -> None:
        """Kill it, if it runs; `wait` then says nothing of it."""
        if self.process.poll() is None:
            self._ended_by_us = True
            self.process.kill()

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, negative for a signal. DumpError where it doesn't end within *timeout* seconds."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise DumpError(f"{self.name} did not end within {timeout:g} s") from None

    def said(self) -> str:
        """The end of what it said on stderr, where that is kept."""
        if self._stderr is not None:
            size = os.fstat(self._stderr).st_size
            last = os.pread(self._stderr, MESSAGE_LIMIT, max(0, size - MESSAGE_LIMIT))
            self._said = last.decode("utf-8", "replace").strip()
            if self.process.returncode is not None:
                # There is no more to come, and who starts many may have but so many files open.
                self._close_stderr()
        return self._said

    def _close_stderr(self) -> None:
        descriptor, self._stderr = self._stderr, None
        if descriptor is not None:
            os.close(descriptor)

    def complaint(self) -> str:
        """A sentence about a status other than 0; "" for 0 and where it was killed by us."""
        status, said = self.process.returncode, self.said()
        if not status or self._ended_by_us:
            return ""
        how = f"was ended by signal {-status}" if status < 0 else f"failed with exit status {status}"
        return f"{self.name} {how}" + (f": {said}" if said else "")

    def heard(self, failure: str) -> bytes:
        """All that it writes, when it has ended well; DumpError that begins with *failure* where it has not."""
        answer = b""
        while piece := os.read(self.output, PIPE_SIZE):
            answer += piece
        self.wait()
        if problem := self.complaint():
            raise DumpError(f"{failure}: {problem}")
        return answer

    def end(self) -> None:
        """Make sure that it has ended: told by its closed input, then by SIGTERM, then by SIGKILL."""
        self.close_input()
        for send in (None, self.process.terminate, self.process.kill):
            if send is not None and self.process.poll() is None:
                self._ended_by_us = True
                # sudo belongs to root; it ends with its command, which ends with its input.
                with contextlib.suppress(PermissionError):
                    send()
            try:
                self.process.wait(GRACE)
                break
            except subprocess.TimeoutExpired:
                continue
        else:
            say("taaraxtak", f"{self.name} (process {self.process.pid}) could not be ended", error=True)
        self.close_output()
        self.said()


class Clock:
    """Two limits: seconds in which nothing moves, and seconds for the whole."""

    def __init__(self, *, idle: float, overall: float) -> None:
        self._idle = idle
        self._overall = overall
        self._end = time.monotonic() + overall

    def wait(self, descriptor: int, event: int, doing: str) -> None:
        """Wait until *descriptor* is ready for *event* (`select.POLLIN`, `select.POLLOUT`); DumpError at a limit."""
        left = self._end - time.monotonic()
        poll = select.poll()
        poll.register(descriptor, event)
        if left > 0 and poll.poll(min(self._idle, left) * 1000):
            return
        if left <= self._idle:
            raise DumpError(f"the whole took longer than {self._overall:g} s, while {doing}")
        raise DumpError(f"nothing moved for {self._idle:g} s, while {doing}")

    def read(self, descriptor: int, doing: str) -> bytes:
        """What can be read, b"" at the end."""
        self.wait(descriptor, select.POLLIN, doing)
        return os.read(descriptor, PIPE_SIZE)

    def write(self, descriptor: int, doing: str, *parts: bytes) -> None:
        """Write the parts wholly to a descriptor that does not block."""
        rest = [memoryview(part) for part in parts if part]
        while rest:
            self.wait(descriptor, select.POLLOUT, doing)
            try:
                written = os.writev(descriptor, rest)
            except BlockingIOError:
                continue
            while rest and written >= len(rest[0]):
                written -= len(rest.pop(0))
            if rest and written:
                rest[0] = rest[0][written:]
