# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's files are to be: the module's options read into entries, and everything refused that is ambiguous."""

from __future__ import annotations

import base64
import binascii
import re
import typing as t
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

Kind = t.Literal["file", "folder", "link", "absent"]

_KINDS: t.Mapping[str, Kind] = {"file": "file", "directory": "folder", "link": "link", "absent": "absent"}

# YAML reads an unquoted 0644 as the number 420: three digits are nearly always that mistake.
_MODE = re.compile(r"0?[0-7]{4}")


def matches(relative: str, pattern: str) -> bool:
    """Whether the glob *pattern* means the *relative* path: by its name or whole; begun with / by the whole alone."""
    if pattern.startswith("/"):
        return fnmatchcase("/" + relative, pattern)
    return fnmatchcase(relative.rsplit("/", 1)[-1], pattern) or fnmatchcase(relative, pattern)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One path and what is to be there. *tree* is the tree that it lies below, or empty; a link has no *mode*."""

    path: str
    kind: Kind
    content: bytes = field(default=b"", repr=False)
    target: str = ""
    owner: str = "root"
    group: str = "root"
    mode: int = 0
    validate: tuple[str, ...] = ()
    secret: bool = False
    tree: str = ""


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A folder that holds its entries and nothing else, but for what a pattern in *keep* names."""

    path: str
    keep: tuple[str, ...] = ()

    def keeps(self, path: str) -> bool:
        """Whether *keep* names *path* (absolute, below the tree) or a folder above it, by name or relative path."""
        parts = path.removeprefix(self.path + "/").split("/")
        return any(
            matches("/".join(parts[: count + 1]), pattern) for count in range(len(parts)) for pattern in self.keep
        )


@dataclass(frozen=True)
class Wanted:
    """All entries, folders before what they hold, and the trees."""

    entries: tuple[Entry, ...]
    trees: tuple[Tree, ...]


def parent_of(path: str) -> str:
    """The folder that holds *path*."""
    return path.rpartition("/")[0] or "/"


def name_of(path: str) -> str:
    """The last part of *path*."""
    return path.rpartition("/")[2]


def ancestors_of(path: str) -> t.Iterator[str]:
    """The folders above *path*, the nearest first, without the root."""
    while (path := parent_of(path)) != "/":
        yield path


def read_wanted(files: t.Sequence[t.Mapping[str, t.Any]], trees: t.Sequence[t.Mapping[str, t.Any]]) -> Wanted:
    """Read the module's options ``files`` and ``trees``.

    Raises ValueError for a path that is relative, leaves its folder or is named twice, for options that don't fit the
    state, and for an entry below something that is to be no folder.
    """
    entries = [_read_entry(given) for given in files]
    wanted_trees = []
    for given in trees:
        tree, below = _read_tree(given)
        wanted_trees.append(tree)
        entries.extend(below)
    by_path: dict[str, Entry] = {}
    for entry in entries:
        if entry.path in by_path:
            raise ValueError(f"{entry.path} is named twice: one path has one entry")
        by_path[entry.path] = entry
    tree_paths = {tree.path for tree in wanted_trees}
    for entry in entries:
        for above in ancestors_of(entry.path):
            if entry.kind != "absent" and above in by_path and by_path[above].kind != "folder":
                raise ValueError(
                    f"{entry.path} can't be made: {above} is to be {_NOUNS[by_path[above].kind]}, no folder"
                )
            if entry.path in tree_paths and above in tree_paths:
                raise ValueError(
                    f"the tree {entry.path} lies below the tree {above}: make them one, or name it in keep"
                )
    return Wanted(tuple(sorted(entries, key=lambda entry: entry.path.split("/"))), tuple(wanted_trees))


_NOUNS: t.Mapping[Kind, str] = {"file": "a file", "folder": "a folder", "link": "a link", "absent": "absent"}


def _read_path(given: str) -> str:
    if not given.startswith("/"):
        raise ValueError(f"the path {given!r} is relative: give it from / on")
    parts = [part for part in given.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError(f"the path {given!r} has '..' in it: spell it out")
    if not parts or "\0" in given:
        raise ValueError(f"the path {given!r} can't be managed")
    return "/" + "/".join(parts)


def _read_mode(given: str | None, default: str, path: str) -> int:
    text = default if given is None else given
    if not _MODE.fullmatch(text):
        raise ValueError(f'the mode {text!r} of {path} is not four octal digits: quote it, as in "0644"')
    return int(text, 8)


def _read_base64(given: str, path: str) -> bytes:
    try:
        return base64.b64decode("".join(given.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"the base64 content of {path} can't be decoded") from None


def _read_entry(given: t.Mapping[str, t.Any]) -> Entry:
    path = _read_path(given["path"])
    state = given.get("state") or "file"
    if state not in _KINDS:
        raise ValueError(f"the state {state!r} of {path} is unknown: file, directory, link or absent")
    kind = _KINDS[state]
    _refuse_misfits(given, kind, path)
    validate = tuple(given.get("validate") or ())
    if validate and not any("%s" in word for word in validate):
        raise ValueError(f"the validate command of {path} has no %s, so it would not look at the new file")
    target = given.get("target") or ""
    if kind == "link" and (not target or "\0" in target):
        raise ValueError(f"the link {path} needs a target")
    return Entry(
        path=path,
        kind=kind,
        content=_read_content(given, path) if kind == "file" else b"",
        target=target,
        owner=given.get("owner") or "root",
        group=given.get("group") or "root",
        mode=_read_mode(given.get("mode"), "0755" if kind == "folder" else "0644", path),
        validate=validate,
        secret=bool(given.get("secret")),
    )


def _refuse_misfits(given: t.Mapping[str, t.Any], kind: Kind, path: str) -> None:
    """An option that means nothing for the state is a mistake that would pass unseen."""
    fitting: dict[str, tuple[Kind, ...]] = {
        "content": ("file",),
        "content_base64": ("file",),
        "validate": ("file",),
        "target": ("link",),
        "mode": ("file", "folder"),
    }
    for option, kinds in fitting.items():
        if given.get(option) is not None and kind not in kinds:
            raise ValueError(f"{path} is to be {_NOUNS[kind]}, so the option {option} has no meaning there")


def _read_content(given: t.Mapping[str, t.Any], path: str) -> bytes:
    text, encoded = given.get("content"), given.get("content_base64")
    if (text is None) == (encoded is None):
        raise ValueError(f"the file {path} needs exactly one of content and content_base64")
    if encoded is not None:
        return _read_base64(encoded, path)
    return str(text).encode("utf-8", "surrogateescape")


def _read_tree(given: t.Mapping[str, t.Any]) -> tuple[Tree, list[Entry]]:
    path = _read_path(given["path"])
    if path.count("/") < 2:
        raise ValueError(f"the tree {path} is one of the system's own folders: everything else in it would be removed")
    owner, group = given.get("owner") or "root", given.get("group") or "root"
    file_mode = _read_mode(given.get("file_mode"), "0644", path)
    folder_mode = _read_mode(given.get("folder_mode"), "0755", path)
    contents: dict[str, bytes] = {}
    for relative, encoded in given["files"].items():
        name = _read_relative(relative, path)
        if name in contents:
            raise ValueError(f"{path}/{name} is named twice: one path has one entry")
        contents[name] = _read_base64(encoded, f"{path}/{name}")
    executable = {_read_relative(name, path) for name in given.get("executable") or ()}
    if executable - contents.keys():
        raise ValueError(f"the tree {path} has no file {min(executable - contents.keys())}, which is to be executable")
    folders = {above for name in contents for above in ancestors_of(f"{path}/{name}") if above.startswith(path + "/")}
    entries = [Entry(path=path, kind="folder", owner=owner, group=group, mode=folder_mode)]
    entries += [
        Entry(path=folder, kind="folder", owner=owner, group=group, mode=folder_mode, tree=path)
        for folder in sorted(folders)
    ]
    entries += [
        Entry(
            path=f"{path}/{name}",
            kind="file",
            content=content,
            owner=owner,
            group=group,
            # whoever may read a program may run it, nobody else
            mode=file_mode | (file_mode & 0o444) >> 2 if name in executable else file_mode,
            tree=path,
        )
        for name, content in contents.items()
    ]
    return Tree(path=path, keep=tuple(given.get("keep") or ())), entries


def _read_relative(given: str, tree: str) -> str:
    parts = given.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\0" in given:
        raise ValueError(f"the name {given!r} in the tree {tree} is not a plain relative path")
    return given
