# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what a project and this machine need for this version of the collection: `make doctor PROJECT=FOLDER`.

One line for each thing, and the status 1 where one of them has to be mended. It only reads, and needs no Ansible.
"""

from __future__ import annotations

import argparse
import configparser
import json
import subprocess
import sys
import typing as t
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from plugins.module_utils.access.policy.reader import problems as policy_problems  # noqa: E402 - the path is set above
from plugins.module_utils.project.pin import fits, pinned  # noqa: E402 - the path is set above
from plugins.module_utils.project.variables import Option, Setting, problems  # noqa: E402 - the path is set above

COLLECTION = "taaraxtak.production"
# The oldest that Debian 12 has, which the collection is tested with.
OLDEST_PYTHON = (3, 11)
VAULTED = b"$ANSIBLE_VAULT"
POLICY = "group_vars/production_hosts/access_policy.yml"
# What is said of a thing: it is well; it has to be mended; it is good to know.
WELL, BAD, NOTE = "ok", "!!", "--"
Said = tuple[str, str]


def this_version(root: Path = ROOT) -> str:
    """The version of the collection that this file lies in."""
    if (root / "galaxy.yml").exists():
        return str(read(root / "galaxy.yml")["version"])
    held = json.loads((root / "MANIFEST.json").read_text(encoding="utf-8"))
    return str(held["collection_info"]["version"])


def read(path: Path) -> t.Any:
    """What the YAML file holds; what is vaulted in it is a text. ValueError where it is no YAML."""
    import yaml

    class Loader(yaml.SafeLoader):
        """With the two tags of Ansible's that an inventory has."""

    for tag in ("!vault", "!unsafe"):
        Loader.add_constructor(tag, yaml.SafeLoader.construct_yaml_str)
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader)  # noqa: S506 - a safe loader's child
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML: {error}") from error


def of_machine() -> t.Iterator[Said]:
    """Python, Ansible and podman."""
    python = ".".join(map(str, sys.version_info[:3]))
    well = sys.version_info[:2] >= OLDEST_PYTHON
    yield (WELL, f"Python {python}") if well else (BAD, f"Python {python} is too old: install 3.11 or newer")
    wanted = str(read(ROOT / "meta" / "runtime.yml")["requires_ansible"])
    try:
        there = metadata.version("ansible-core")
    except metadata.PackageNotFoundError:
        yield BAD, "ansible-core is missing for this Python: `make venv` installs it here"
    else:
        if fits(wanted, there):
            yield WELL, f"ansible-core {there}"
        else:
            yield BAD, f"ansible-core {there} is not {wanted}: `make venv` installs one that is"
    try:
        said = subprocess.run(["podman", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        said = ""
    yield (WELL, said) if said else (NOTE, "podman is not here: containers need it, and `make up` installs it")


def of_pin(project: Path) -> Said:
    """Which version it works with. A pin that can't be compared, as a commit, is for people to judge."""
    version = this_version()
    try:
        asked = pinned(read(project / "requirements.yml"), COLLECTION)
    except FileNotFoundError:
        return BAD, "there is no requirements.yml: write there which version of the collection the project works with"
    except ValueError as error:
        return BAD, f"requirements.yml: {error}"
    try:
        well = fits(asked, version)
    except ValueError as error:
        return NOTE, f"requirements.yml: {error}"
    said = f"requirements.yml asks for {asked}, and this is {version}"
    return (WELL, said) if well else (BAD, f"{said}: change the one, or check out the other")


def of_project(project: Path) -> t.Iterator[Said]:
    """Its pin, its Ansible's settings, its folders."""
    yield of_pin(project)
    yield from _of_settings(project)
    for folder in ("dashboards", "incidents"):
        if not (project / folder).is_dir():
            yield BAD, f"there is no folder {folder}: make it"


def _of_settings(project: Path) -> t.Iterator[Said]:
    settings = configparser.ConfigParser(interpolation=None)
    try:
        settings.read(project / "ansible.cfg", encoding="utf-8")
        injected = settings.getboolean("defaults", "inject_facts_as_vars", fallback=True)
    except (configparser.Error, ValueError) as error:
        yield BAD, f"ansible.cfg can't be read: {error}"
        return
    if injected:
        yield (
            BAD,
            "ansible.cfg has to say inject_facts_as_vars = false below [defaults]: a host could choose our variables",
        )
    else:
        yield WELL, "ansible.cfg"


def of_inventory(inventory: Path) -> t.Iterator[Said]:
    """Its variables, beside what the roles of this version know, and its policy."""
    settings, found, unread = [], [], []
    for path in sorted(one for one in inventory.rglob("*.y*ml") if not _hidden(one.relative_to(inventory))):
        name = str(path.relative_to(inventory))
        if path.read_bytes().startswith(VAULTED):
            unread.append(name)
            continue
        try:
            held = read(path)
        except ValueError as error:
            found.append(str(error))
            continue
        own = "group_vars" in path.parts or "host_vars" in path.parts
        for key, value in pairs(held) if own else in_groups(held):
            settings.append(Setting(key, name, str(value)))
        if name == POLICY and isinstance(held, dict) and "{{" not in str(held):
            found += [f"{name}: {sentence}" for sentence in policy_problems(held.get("access_policy"))]
    if not any(one.name == "access_policy" for one in settings) and not unread:
        found.append(f"there is no access_policy: it is kept in {POLICY}")
    found += problems(settings, roles())
    yield from ((BAD, f"{inventory.name}: {sentence}") for sentence in found)
    if not found:
        yield WELL, f"{inventory.name}: {len(settings)} variables and the policy are as this version knows them"
    for name in unread:
        yield NOTE, f"{inventory.name}: {name} is vaulted as a whole, so that nothing of it is judged"


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def pairs(held: t.Any) -> t.Iterator[tuple[str, t.Any]]:
    """The variables of a file of group_vars or host_vars."""
    if isinstance(held, dict):
        yield from ((str(key), value) for key, value in held.items())


def in_groups(held: t.Any) -> t.Iterator[tuple[str, t.Any]]:
    """The variables of the groups and hosts of an inventory's own file."""
    for group in held.values() if isinstance(held, dict) else ():
        if isinstance(group, dict):
            yield from pairs(group.get("vars"))
            for own in (group.get("hosts") or {}).values():
                yield from pairs(own)
            yield from in_groups(group.get("children"))


def roles(root: Path = ROOT) -> dict[str, list[Option]]:
    """The variables of each role of this version."""
    known = {}
    for path in sorted((root / "roles").glob("*/meta/argument_specs.yml")):
        options = read(path)["argument_specs"]["main"]["options"]
        known[path.parents[1].name] = [
            Option(name, bool(one.get("required")), tuple(map(str, one.get("choices", ()))))
            for name, one in options.items()
        ]
    return known


def examine(project: Path) -> t.Iterator[Said]:
    """All that there is to say."""
    try:
        import yaml  # noqa: F401 - whether it is there
    except ImportError:
        yield BAD, "PyYAML is missing for this Python, so that nothing could be read: `make venv` installs it here"
        return
    yield from of_machine()
    # The checkout itself asks for no version of itself.
    if project.resolve() != ROOT:
        yield from of_project(project)
    inventories = sorted(one.parent for one in project.glob("inventory/*/hosts.yml"))
    if not inventories:
        yield BAD, f"there is no inventory in {project}: `make init PROJECT=FOLDER` begins a project that has one"
    for inventory in inventories:
        yield from of_inventory(inventory)


def main(arguments: t.Sequence[str] | None = None) -> int:
    """Print the screen; 1 where something has to be mended."""
    parser = argparse.ArgumentParser(prog="doctor", description=__doc__, allow_abbrev=False)
    parser.add_argument("project", type=Path, nargs="?", default=ROOT)
    parser.add_argument(
        "--pin", action="store_true", help="look at the version alone, and say nothing where it is right"
    )
    options = parser.parse_args(arguments)
    try:
        said = [of_pin(options.project)] if options.pin else list(examine(options.project))
    except (OSError, ValueError) as error:
        said = [(BAD, str(error))]
    if options.pin and said[0][0] == WELL:
        return 0
    for word, sentence in said:
        print(f"  {word}  {sentence}")
    bad = sum(word == BAD for word, _sentence in said)
    if options.pin:
        return 1 if bad else 0
    print(f"{bad} thing{'' if bad == 1 else 's'} to mend." if bad else "Nothing to mend.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
