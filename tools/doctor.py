# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what a project and this machine need for this version of the collection: `make doctor PROJECT=FOLDER`.

One line for each thing, and the status 1 where one of them has to be mended. It only reads, and needs no Ansible.
"""

from __future__ import annotations

import argparse
import configparser
import re
import subprocess
import sys
import typing as t
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from plugins.module_utils.access.policy.reader import problems as policy_problems  # noqa: E402 - the path is set above
from plugins.module_utils.project.installed import version  # noqa: E402 - the path is set above
from plugins.module_utils.project.pin import DIFFERS, FITS, fits, judged  # noqa: E402 - the path is set above
from plugins.module_utils.project.values import Option, expressed  # noqa: E402 - the path is set above
from plugins.module_utils.project.variables import Setting, known, problems  # noqa: E402 - the path is set above

# The oldest that Debian 12 has, which the collection is tested with.
OLDEST_PYTHON = (3, 11)
VAULTED = b"$ANSIBLE_VAULT"
POLICY = "group_vars/production_hosts/access_policy.yml"
VARIABLES = ("group_vars", "host_vars")
YAML = (".yml", ".yaml", ".json")
# Of no role, and named by playbooks and roles without a default.
BESIDE = (
    *("access_policy", "notify", "containers_groups", "containers_image", "containers_publish", "containers_scope"),
    *("linode_image", "linode_region", "linode_type"),
)
# How a playbook reads a variable that an inventory may set.
READ = re.compile(r"(?<![\w'\"])([a-z][a-z0-9]*(?:_[a-z0-9]+)+)\s*(?:\|\s*default\(|is (?:not )?defined)")
# The package of the collection has no Makefile.
MAKE = (ROOT / "Makefile").exists()
INSTALLED = "`make venv`" if MAKE else f"`pip install -r {ROOT / 'requirements.txt'}`"
BEGUN = "`make init PROJECT=FOLDER`" if MAKE else "`ansible-playbook taaraxtak.production.init -e project=FOLDER`"
PODMAN = "and `make up` installs it" if MAKE else "and a checkout of the collection, whose `make up` installs it"
# What is said of a thing: it is well; it has to be mended; it is good to know.
WELL, BAD, NOTE = "ok", "!!", "--"
Said = tuple[str, str]


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
        yield BAD, f"ansible-core is missing for this Python: {INSTALLED} installs it"
    else:
        if fits(wanted, there):
            yield WELL, f"ansible-core {there}"
        else:
            yield BAD, f"ansible-core {there} is not {wanted}: {INSTALLED} installs one that is"
    try:
        said = subprocess.run(["podman", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        said = ""
    yield (WELL, said) if said else (NOTE, f"podman is not here: containers need it, {PODMAN}")


def of_pin(project: Path) -> Said:
    """Which version it works with. A pin that can't be compared, as a commit, is for people to judge."""
    try:
        held = read(project / "requirements.yml")
    except FileNotFoundError:
        return BAD, "there is no requirements.yml: write there which version of the collection the project works with"
    verdict, said = judged(held, version(ROOT, read))
    return {FITS: WELL, DIFFERS: BAD}.get(verdict, NOTE), said


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


def inventories(project: Path) -> list[Path]:
    """The folders that say which hosts there are: those in the folder inventory, or itself."""
    top = project / "inventory"
    below = [one for one in sorted(top.glob("*/")) if one.name not in VARIABLES]
    return [one for one in below if _says_hosts(one)] or [one for one in (top,) if _says_hosts(one)]


def _says_hosts(folder: Path) -> bool:
    return folder.is_dir() and any(one.is_file() and _is_read(one, Path(one.name)) for one in folder.iterdir())


def _is_read(path: Path, name: Path) -> bool:
    """Whether Ansible reads the file *name* of an inventory: variables, or an inventory's own."""
    if any(part.startswith(".") for part in name.parts):
        return False
    return path.suffix in YAML or (not path.suffix and _has_variables(name)) or _is_ini(name)


def _has_variables(name: Path) -> bool:
    return name.parts[0] in VARIABLES


def _is_ini(name: Path) -> bool:
    return not _has_variables(name) and (name.suffix == ".ini" or name.name == "hosts")


def of_inventory(inventory: Path, *, own: bool) -> t.Iterator[Said]:
    """Its variables, beside what this version knows, and its policy; *own*: it is a project's."""
    settings: list[Setting] = []
    found, noted, unread = [], [], []
    for path in sorted(
        one for one in inventory.rglob("*") if one.is_file() and _is_read(one, one.relative_to(inventory))
    ):
        name = path.relative_to(inventory)
        if path.read_bytes().startswith(VAULTED):
            unread.append(f"{name} is vaulted as a whole")
        elif _is_ini(name):
            unread.append(f"{name} is no YAML")
        else:
            try:
                held = read(path)
                if isinstance(held, dict) and "plugin" in held and not _has_variables(name):
                    unread.append(f"{name} asks a plugin")
                    continue
                settings += [Setting(key, str(name), value) for key, value in _variables(held, name)]
            except ValueError as error:
                found.append(str(error))
    policies = [one for one in settings if one.name == "access_policy"]
    for one in policies:
        if expressed(one.value):
            noted.append(f"access_policy in {one.file} has expressions, so that nothing of it is judged")
        else:
            found += [f"{one.file}: {sentence}" for sentence in policy_problems(one.value)]
    if not policies and not unread:
        found.append(f"there is no access_policy: it is kept in {POLICY}")
    if own and not unread and not any(one.name == "project_folder" for one in settings):
        found.append(
            "there is no project_folder, so that reports would lie in the collection: write "
            'project_folder: "{{ inventory_dir }}/../.." into group_vars/all/project.yml'
        )
    others = beside()
    found += problems(settings, roles(), others=others)
    yield from ((BAD, f"{inventory.name}: {sentence}") for sentence in found)
    if not found:
        judged_too = "" if noted or not policies else " and the policy"
        count = known([one for one in settings if one not in policies], roles(), others)
        yield WELL, f"{inventory.name}: {count} variables{judged_too} are as this version knows them"
    for sentence in [*noted, *(f"{one}, so that nothing of it is judged" for one in unread)]:
        yield NOTE, f"{inventory.name}: {sentence}"


def _variables(held: t.Any, name: Path) -> t.Iterator[tuple[str, t.Any]]:
    if held is not None and not isinstance(held, dict):
        raise ValueError(f"{name} holds no names and values")
    yield from pairs(held) if _has_variables(name) else in_groups(held, str(name))


def pairs(held: t.Any) -> t.Iterator[tuple[str, t.Any]]:
    """The variables of a file of group_vars or host_vars."""
    if isinstance(held, dict):
        yield from ((str(key), value) for key, value in held.items())


def in_groups(held: t.Any, name: str) -> t.Iterator[tuple[str, t.Any]]:
    """The variables of the groups and hosts of an inventory's own file; ValueError where it is none."""
    for group, said in held.items() if isinstance(held, dict) else ():
        if isinstance(said, list):
            raise ValueError(f"{name}: {group} has to be a mapping: write hosts, children or vars into it")
        for key in ("vars", "hosts", "children") if isinstance(said, dict) else ():
            # One host or group alone may be a text.
            if not isinstance(said.get(key) or {}, dict | str):
                raise ValueError(f"{name}: {key} of {group} has to be a mapping: write each with a colon behind it")
        if isinstance(said, dict):
            yield from pairs(said.get("vars"))
            for own in said["hosts"].values() if isinstance(said.get("hosts"), dict) else ():
                yield from pairs(own)
            yield from in_groups(said.get("children"), name)


def beside(root: Path = ROOT) -> frozenset[str]:
    """The variables of no role that an inventory may set: those that playbooks have a default for, and a few."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((root / "playbooks").rglob("*.yml"))]
    named = {name for text in texts for name in READ.findall(text)}
    of_roles = tuple(f"{path.name}_" for path in (root / "roles").iterdir())
    return frozenset({*BESIDE, *(name for name in named if not name.startswith((*of_roles, "ansible_")))})


def roles(root: Path = ROOT) -> dict[str, list[Option]]:
    """The variables of each role of this version."""
    return {
        path.parents[1].name: list(_options(read(path)["argument_specs"]["main"]["options"]))
        for path in sorted((root / "roles").glob("*/meta/argument_specs.yml"))
    }


def _options(said: t.Mapping[str, t.Any]) -> t.Iterator[Option]:
    for name, one in said.items():
        yield Option(
            name,
            bool(one.get("required")),
            tuple(map(str, one.get("choices", ()))),
            one.get("type", "str"),
            one.get("elements", "raw"),
            tuple(_options(one.get("options", {}))),
        )


def examine(project: Path) -> t.Iterator[Said]:
    """All that there is to say."""
    try:
        import yaml  # noqa: F401 - whether it is there
    except ImportError:
        yield BAD, f"PyYAML is missing for this Python, so that nothing could be read: {INSTALLED} installs it"
        return
    yield from of_machine()
    # The checkout itself asks for no version of itself.
    own = project.resolve() != ROOT
    if own:
        yield from of_project(project)
    found = inventories(project)
    if not found:
        yield BAD, f"there is no inventory in {project}: {BEGUN} begins a project that has one"
    for inventory in found:
        yield from of_inventory(inventory, own=own)


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
