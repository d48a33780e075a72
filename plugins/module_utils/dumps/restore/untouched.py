# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of the database where a restore fails before it begins."""

from __future__ import annotations

import types
import typing as t

from ..processes import DumpError


class Untouched:
    """A context: what fails in it comes before anything is made, and says so; of ``database``, once that is known."""

    def __init__(self) -> None:
        self.database = ""

    def __enter__(self) -> t.Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        if isinstance(error, (DumpError, ValueError, OSError)):
            raise DumpError(f"{str(error) or type(error).__name__}; {self.sentence()}") from error

    def sentence(self) -> str:
        """That all is as it was."""
        what = f"the database {self.database}" if self.database else "every database"
        return f"nothing was changed, {what} is as it was"
