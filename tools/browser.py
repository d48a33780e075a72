"""A headless Chromium, driven by a pipe: what a page looks like and says to whoever opens it.

It speaks the DevTools protocol over two file descriptors, so that nothing has to listen anywhere.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import types
import typing as t
from pathlib import Path

# Debian's name, and what other systems call it.
NAMES = ("chromium", "chromium-browser", "google-chrome")
# Seconds until an answer is given up on.
PATIENCE = 60.0
# Chromium reads commands from descriptor 3 and answers on 4; both ends are moved out of the way first.
START = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(one), fcntl.F_DUPFD, 10) for one in sys.argv[1:3]]
os.dup2(ends[0], 3), os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def program() -> str | None:
    """Where Chromium is; None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class BrowserError(RuntimeError):
    """The browser did not do as it was asked."""


class Browser:
    """One page of a Chromium of its own, which ends with the ``with`` block."""

    def __init__(self) -> None:
        found = program()
        if found is None:
            raise BrowserError("there is no Chromium here: make packages-browser installs it")
        self.program: str = found
        self.number = 0
        self.rest = b""
        self.events: list[dict[str, t.Any]] = []

    def __enter__(self) -> Browser:
        self.folder = tempfile.mkdtemp(prefix="taaraxtak-browser-")
        their_in, self.out = os.pipe()
        self.into, their_out = os.pipe()
        options = [
            "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={self.folder}", "--no-first-run",
            "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-extensions",
            "--disable-component-update", "--hide-scrollbars", "--mute-audio", "--force-color-profile=srgb",
            # Chromium's own sandbox can't be made by root; the pages are files that this project wrote.
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
        ]  # fmt: skip
        command = [sys.executable, "-c", START, str(their_in), str(their_out), self.program, *options]
        self.log = (Path(self.folder) / "chromium.log").open("wb")
        self.process = subprocess.Popen(
            command, pass_fds=(their_in, their_out), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            start_new_session=True, env=os.environ | {"TMPDIR": self.folder},
        )  # fmt: skip
        os.close(their_in)
        os.close(their_out)
        self.session = ""
        try:
            self._attach()
        except BaseException:
            self.close()
            raise
        return self

    def _attach(self) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the browser and all of its processes, and remove its folder."""
        os.close(self.out)
        os.close(self.into)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, method: str, **params: t.Any) -> dict[str, t.Any]:
        """The answer to a command of the protocol; BrowserError where it fails."""
        self.number += 1
        message: dict[str, t.Any] = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self._next(deadline)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']['message']}")
                return dict(answer["result"])
            self.events.append(answer)

    def wait(self, method: str) -> dict[str, t.Any]:
        """The first event of that name since the last ``open``."""
        deadline = time.monotonic() + PATIENCE
        while True:
            for event in self.events:
                if event.get("method") == method:
                    return dict(event["params"])
            self.events.append(self._next(deadline))

    def _next(self, deadline: float) -> dict[str, t.Any]:
        while b"\0" not in self.rest:
            ready = select.select([self.into], [], [], max(0.0, deadline - time.monotonic()))[0]
            chunk = os.read(self.into, 1 << 20) if ready else b""
            if not chunk:
                raise BrowserError("Chromium has ended, or does not answer")
            self.rest += chunk
        line, self.rest = self.rest.split(b"\0", 1)
        return dict(json.loads(line))

    def open(
        self,
        path: Path,
        *,
        width: int = 1280,
        height: int = 900,
        dark: bool = False,
        media: str = "",
        scripts: bool = True,
    ) -> None:
        """Open a file, once it has loaded and, with *scripts*, was drawn; without, the page runs none."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.look(dark=dark, media=media)
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait("Page.loadEventFired")
        # Two frames: the first may have begun before the last of the page was there.
        if scripts:
            self.evaluate("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r(1))))")

    def look(self, *, dark: bool = False, media: str = "") -> None:
        """How the page is looked at: *media* is "" for a screen, or print."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)

    def evaluate(self, script: str) -> t.Any:
        """What an expression of JavaScript gives, which the page itself may not run."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise BrowserError(f"{script[:60]}: {answer['exceptionDetails'].get('exception', {}).get('description')}")
        return answer["result"].get("value")

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Write what is seen, or the *whole* page, as a PNG."""
        content = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(content))

    def pdf(self, path: Path) -> None:
        """Write the page as it is printed."""
        content = self.call("Page.printToPDF", printBackground=False, preferCSSPageSize=True)["data"]
        path.write_bytes(base64.b64decode(content))
