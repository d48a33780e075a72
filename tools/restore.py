"""Restore a dump into a server of one's own, by the words of `make restore`; see plugins/module_utils/dumps/restore."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugins" / "module_utils"))

from dumps.restore import command

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
    """The words that make was given, as the command wants them."""
    given = {word: os.environ.get(word, "") for word in os.environ.get(GIVEN, "").split()}
    options = [f"{option}={given[word]}" for word, option in WORDS.items() if given.get(word)]
    return options + [option for word, option in FLAGS.items() if given.get(word)]


if __name__ == "__main__":
    # make hands its command line on, and the URL may stand there.
    for name in ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES"):
        os.environ.pop(name, None)
    sys.argv[1:] = arguments()
    sys.exit(command.main())
