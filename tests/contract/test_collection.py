"""What the parts of the collection promise each other."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
# Where psycopg2 may be imported: one edge file for each way of meeting PostgreSQL.
EDGES = {
    *("checking.py", "connection.py", "database.py", "postgres.py", "probing.py", "running.py", "schema_server.py"),
    *("session.py", "settings_server.py", "trials.py", "trying.py"),
}
# What an edge may import beside the standard library; YAML, statements and certificates are read in one file each.
THIRD_PARTY_OF_EDGES = {
    **{edge: {"psycopg2"} for edge in EDGES},
    "yamls.py": {"yaml"},
    "parsing.py": {"pglast"},
    "pem.py": {"cryptography"},
}
# The one edge that speaks HTTP does so as Ansible's own modules do, with its proxies and certificates.
HTTP_EDGES = {"dashboards/api.py"}


def tracked(*patterns: str) -> list[Path]:
    """The files that git tracks or would track, of *patterns*."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    names = sorted(set(filter(None, listed.stdout.decode().split("\0"))))
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def test_the_collection_that_is_imported_is_the_checkout():
    """An older copy below ~/.ansible would shadow the checkout, and every other test would prove that one."""
    name = "plugins.module_utils.postgres.connection"
    module = importlib.import_module(f"ansible_collections.taaraxtak.production.{name}")
    assert Path(str(module.__file__)).resolve() == ROOT / f"{name.replace('.', '/')}.py"


def test_ansible_resolves_the_collection_to_the_checkout():
    said = subprocess.run(
        [Path(sys.executable).parent / "ansible-doc", "--json", "-t", "module", "taaraxtak.production.pg_access"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    document = yaml.safe_load(said.stdout)["taaraxtak.production.pg_access"]
    assert Path(document["doc"]["filename"]).resolve() == ROOT / "plugins/modules/pg_access.py"


@pytest.mark.parametrize("path", tracked("plugins/modules/*.py"), ids=lambda path: path.stem)
def test_what_a_module_says_of_itself_is_yaml(path):
    module = importlib.import_module(f"ansible_collections.taaraxtak.production.plugins.modules.{path.stem}")
    for part in (module.DOCUMENTATION, module.EXAMPLES, module.RETURN):
        assert yaml.safe_load(part)


@pytest.mark.parametrize("path", tracked("plugins/module_utils/*.py"), ids=lambda path: str(path.relative_to(ROOT)))
def test_module_utils_import_the_standard_library_and_each_other_only(path):
    allowed = set(sys.stdlib_module_names) | THIRD_PARTY_OF_EDGES.get(path.name, set())
    if f"{path.parent.name}/{path.name}" in HTTP_EDGES:
        allowed.add("ansible")
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [str(node.module)]
        else:
            continue
        for name in names:
            assert name.split(".")[0] in allowed, f"{path.name} imports {name}"


def test_the_inventories_have_the_same_files():
    listed = {
        folder.name: sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))
        for folder in (ROOT / "inventory").iterdir()
    }
    assert listed["production"] == listed["local"]
    assert listed["production"]


@pytest.mark.parametrize("role", ROLES)
def test_argument_specs_name_exactly_the_variables_of_the_role(role):
    spec = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    defaults = yaml.safe_load((ROOT / "roles" / role / "defaults" / "main.yml").read_text()) or {}
    options = spec["main"]["options"]
    assert spec["preflight"]["options"] == options
    assert set(defaults) <= set(options)
    for name, option in options.items():
        if name in defaults:
            assert not option.get("required"), f"{name} is required and has a default"
            if "{{" not in str(defaults[name]):
                assert option.get("default") == defaults[name], name
        else:
            assert "default" not in option, f"{name}: the specification has a default and defaults/main.yml has none"


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_is_documented_where_it_stands(role):
    lines = (ROOT / "roles" / role / "defaults" / "main.yml").read_text().splitlines()
    spec = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    text = "\n".join(lines)
    for name in spec["main"]["options"]:
        assert re.search(rf"^(# )?{name}:", text, re.MULTILINE), f"defaults/main.yml of {role} does not show {name}"
    documented = False
    for line in lines[1:]:
        if line.startswith("#"):
            documented = True
        elif not line:
            documented = False
        elif re.match(r"[a-z_]+:", line):
            assert documented, f"no comment above: {line}"


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_what_a_reader_looks_for(role):
    for name in ("README.md", "tasks/main.yml", "tasks/preflight.yml", "meta/main.yml", "meta/argument_specs.yml"):
        assert (ROOT / "roles" / role / name).is_file(), name


# What a search can see of the house rules; the words stand apart so that this file does not find itself.
FORBIDDEN = {
    "an error is ignored": r"ignore_errors:\s*(true|yes)|failed_when:\s*false",
    "a failure is thrown away": r"\|\|\s*" + "true",
    "a shell": r"ansible\.builtin\." + "shell|^\\s*shell:\\s+(?!/)",
    "check mode passes by skipping": r"when:\s*not\s+ansible_check" + "_mode",
    "a privileged container": r"privileged:\s*(true|yes)|--" + "privileged",
    "a path of one machine": "/(" + "work|root)/[a-z.]+/",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_house_rule(what):
    found = []
    for path in tracked("*.yml", "*.py", "*.j2", "*.sh", "Makefile", ".ci/run", "*.md"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(FORBIDDEN[what], line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not found, "\n".join(found)


def test_the_version_is_the_same_everywhere():
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    releases = yaml.safe_load((ROOT / "changelogs" / "changelog.yaml").read_text())["releases"]
    assert version in releases
