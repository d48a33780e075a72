"""What may be run on a running host, and asked of its server: written down whole, so that nothing else gets there."""

from __future__ import annotations

import re
import typing as t


class WritingError(AssertionError):
    """A test wanted to run what may change a host."""


_PATH, _NAME, _UNIT = r"/[\w@%+.,:/*-]*", r"[\w.$-]+", r"[\w@:.-]+"
# Each command argument by argument, as a regular expression of the whole of it. Options are none of the blanks.
READING: tuple[tuple[str, ...], ...] = (
    # Root's would be written where it is missing.
    ("apt-cache", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=", "policy", r"postgresql-\d+"),
    ("apt-config", "dump"),
    ("cat", rf"/etc/ssh/(devops_keys|dump_store_keys)/{_NAME}|/etc/cron\.d/{_NAME}"),
    ("df", r"--output=pcent,ipcent", _PATH),
    ("dpkg", "--verify"),
    ("dpkg-query", "--search", _PATH),
    ("dpkg-query", "--search", _PATH, _PATH),
    ("dump-store", "list", "--json"),
    ("find", _PATH, "-mindepth", "1", "-maxdepth", r"\d", "-printf", r"%[fp]\\n"),
    ("find", "/", "-xdev", "-type", "f", "-perm", "/6000", "-printf", r"%p\\n"),
    ("find", "/root", "/home", "-xdev", "-name", r"authorized_keys\*", "-printf", r"%p\\n"),
    ("getent", r"passwd|shadow"),
    ("getent", "passwd", _NAME),
    ("nft", "list", "ruleset"),
    ("openssl", "x509", "-noout", "-checkend", r"\d+", "-in", _PATH),
    ("ss", "-H", "-l", "-t", "-n"),
    ("sshd", "-T"),
    ("sshd", "-T", "-C", rf"user={_NAME},host=localhost,addr=127\.0\.0\.1"),
    ("stat", "-c", r"%[A-Za-z %]+", _PATH),
    ("sudo", "-l", "-U", _NAME),
    ("systemctl", r"is-(active|enabled|failed)", _UNIT),
    ("systemctl", "list-timers", "--all", "--output=json"),
    ("systemctl", "list-units", "--failed", "--plain", "--no-legend"),
    ("systemctl", "show", r"--property=[A-Za-z,]+", _UNIT),
    ("systemctl", "show", r"--property=[A-Za-z,]+", "--value", _UNIT),
    ("timedatectl", "show", r"--property=[A-Za-z]+", "--value"),
)
# Functions that a query may call: they look things up. By others a superuser ends somebody's session, say, also in a
# transaction that only reads.
FUNCTIONS = {
    "acldefault", "aclexplode", "array_agg", "coalesce", "count", "extract", "has_table_privilege", "max", "min", "now",
    "quote_ident", "unnest",
}  # fmt: skip
# Words of SQL that stand before a parenthesis and call nothing.
_WORDS = {"and", "any", "array", "as", "by", "exists", "from", "in", "not", "or", "select", "values", "where"}


def command(arguments: t.Sequence[str]) -> None:
    """WritingError unless *arguments* are a command of READING."""
    for known in READING:
        if len(known) == len(arguments) and all(map(re.fullmatch, known, arguments)):
            return
    raise WritingError(f"{' '.join(arguments[:2])} … is not known to read alone: tests of running hosts only read")


def query(text: str) -> None:
    """WritingError unless *text* is one query, which calls functions of FUNCTIONS alone."""
    if ";" in text.rstrip("; \n"):
        raise WritingError("one query at a time: the next one could end the READ ONLY transaction")
    words = text.split()
    # COPY, DO and CALL write, or have others write, even where a transaction only reads.
    if not words or words[0].upper() not in ("SELECT", "SHOW") or "--" in text or "/*" in text:
        raise WritingError("a query is a SELECT or SHOW without comments: whatever else there is may write")
    called = {name.lower() for name in re.findall(r'([\w$."]*)\s*\(', text) if name}
    strange = sorted(called - FUNCTIONS - _WORDS)
    if strange:
        raise WritingError(f"a query calls {', '.join(strange)}, which is not known to read alone")
