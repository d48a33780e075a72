# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge of the reports: the last one is read, and all of them are written, each whole or not at all."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ..files.whole import replace
from .junit import junit
from .metrics import textfile
from .model import Document
from .page.page import page
from .screen import screen

REPORT, PAGE, JUNIT, METRICS, SCREEN = ("audit.json", "index.html", "junit.xml", "taaraxtak_audit.prom", "screen.txt")


def last(folder: Path) -> Document | str | None:
    """The last report in *folder*; a sentence where it can't be read, None where there is none."""
    try:
        document = json.loads((folder / REPORT).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        return f"the last report can't be read: {error}"
    return document if isinstance(document, dict) else "the last report is none"


def texts(document: Document, folder: Path) -> dict[str, str]:
    """Every report by its file's name; the page's address is that of *folder*."""
    return {
        JUNIT: junit(document),
        METRICS: textfile(document),
        PAGE: page(document),
        SCREEN: screen(document, str(folder / PAGE)),
        # The last one: where it is new, the others are.
        REPORT: json.dumps(document, indent=1) + "\n",
    }


def write(folder: Path, files: t.Mapping[str, str]) -> None:
    """Put *files* into *folder*, which is made; ValueError where that can't be done.

    They say where the estate is open: they are for whoever runs the audit, but for the metrics.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"could not make the folder {folder}: {error.strerror}") from error
    for name, text in files.items():
        replace(folder / name, text.encode(), mode=0o644 if name == METRICS else 0o600)
