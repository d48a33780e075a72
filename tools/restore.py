"""Restore a dump into a server of one's own, by the words of `make restore`; see plugins/module_utils/dumps/restore."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugins" / "module_utils"))

from dumps.restore import command
from dumps.restore.untouched import Untouched

WORDS = {
    "DUMP": "--file",
    "STORE": "--store",
    "KEY": "--key",
    "KNOWN_HOSTS": "--known-hosts",
    "NAME": "--name",
    "DATABASE": "--database",
    "INTO": "--into",
    "OWNER": "--owner",
    "SIGNERS": "--signers",
    "TIMEZONE": "--timezone",
    "IDENTITY": "--identity",
    "KEEP_PREVIOUS": "--keep-previous",
    "BINDIR": "--bindir",
}
FLAGS = {"UNPROVED": "--unproved", "CHECK": "--check"}


# The words that stand on make's command line: in the environment some of them mean other things to other programs.
GIVEN = "TAARAXTAK_RESTORE"


def arguments() -> list[str]:
    """The words that make was given, as the command wants them; ValueError for one that says nothing."""
    given = {word: os.environ.get(word, "") for word in os.environ.get(GIVEN, "").split()}
    for word in given.keys() & WORDS.keys():
        if not given[word]:
            raise ValueError(f"{word} is given and is empty: say what it is, or leave it out")
    for word in given.keys() & FLAGS.keys():
        if given[word] not in ("", "1"):
            raise ValueError(f"{word} is 1, or it is left out: {given[word]!r} is neither")
    options = [f"{option}={given[word]}" for word, option in WORDS.items() if word in given]
    return options + [option for word, option in FLAGS.items() if given.get(word)]


if __name__ == "__main__":
    # make hands its command line on, and the URL may stand there.
    for name in ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES"):
        os.environ.pop(name, None)
    try:
        sys.argv[1:] = arguments()
    except ValueError as error:
        sys.exit(f"{command.PROGRAM}: {error}; {Untouched().sentence()}")
    sys.exit(command.main())
