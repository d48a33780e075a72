# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which version of the collection lies in a folder."""

from __future__ import annotations

import typing as t
from pathlib import Path


def version(root: Path, read: t.Callable[[Path], t.Any]) -> str:
    """The version in *root*, a checkout or a package's folder. *read* gives what a file of YAML, or JSON, holds.

    It raises FileNotFoundError where there is none.
    """
    try:
        return str(read(root / "galaxy.yml")["version"])
    except FileNotFoundError:
        # An installed collection has a manifest in place of it.
        return str(read(root / "MANIFEST.json")["collection_info"]["version"])
