# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The access policy as a command, by the same code as the modules, without Ansible. docs/pg-access.md is its manual.

The status is 0 where the server is as the policy says, 2 where it is not, and 3 where that is not known, or not done.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import sys
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from plugins.module_utils.access import enforce, gathering, inspecting  # noqa: E402 - the path is set above
from plugins.module_utils.access.audit.findings import SEVERITIES, at_least  # noqa: E402 - the path is set above
from plugins.module_utils.access.plan.report import result, warnings  # noqa: E402 - the path is set above
from plugins.module_utils.access.policy.model import Policy  # noqa: E402 - the path is set above
from plugins.module_utils.access.policy.reader import MODES, parse  # noqa: E402 - the path is set above
from plugins.module_utils.audit.text import plain  # noqa: E402 - the path is set above

CLEAN, DRIFT, FAILED = 0, 2, 3
# What of libpq's options is a secret, and stands in every list of processes once it is an argument.
# Source: PQconninfoOptions in src/interfaces/libpq/fe-connect.c of 18, those that are hidden there.
SECRETS = ("password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret")
LOCK = "taaraxtak-pg_access.lock"
# Bits of a file's mode: somebody else may read it.
OTHERS = 0o077
# What PyYAML quotes of a file in a problem's words: single signs and its own names of tokens may be shown.
QUOTED = re.compile(r"""'[^']'|'<[a-z -]+>'|(['"]).*\1""")


class Parser(argparse.ArgumentParser):
    """argparse, whose own status for a wrong argument would be taken for drift."""

    def error(self, message: str) -> t.NoReturn:
        self.print_usage(sys.stderr)
        self.exit(FAILED, f"{self.prog}: {message}\n")


def arguments(given: t.Sequence[str] | None) -> argparse.Namespace:
    """The command line as read."""
    parser = Parser(prog="pg-access", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="plan|apply|audit|export")
    for name, run, what in (
        ("plan", plan, "say what would be changed, and change nothing"),
        ("apply", apply, "make the server what the policy says"),
        ("audit", audit, "say what roles can really do beyond the policy; it only reads"),
        ("export", export, "write the policy of what is there"),
    ):
        command = commands.add_parser(name, help=what, description=what, allow_abbrev=False)
        command.set_defaults(run=run)
        command.add_argument(
            "--dsn", default="", help="libpq's connection string, without a password: docs/pg-access.md"
        )
        command.add_argument("--json", action="store_true", help="answer in JSON, as the modules do")
        if name != "export":
            command.add_argument("--policy", type=Path, required=True, help="a file of YAML or JSON with access_policy")
        if name in ("plan", "apply"):
            command.add_argument("--mode", choices=MODES, help="instead of the policy's own")
            command.add_argument(
                "--skip-missing", action="store_true", help="go on where the policy names what is not there"
            )
            command.add_argument(
                "--hba", action="store_true", help="own pg_hba.conf and pg_ident.conf; on the server's host"
            )
            command.add_argument("--passwords", type=Path, help="a file that nobody else may read: verifiers by role")
        if name == "apply":
            command.add_argument("--lock-timeout", default="5s", help="how long to wait for a lock")
            command.add_argument("--lock-file", help="is locked meanwhile, so that two runs can't write")
        if name == "audit":
            command.add_argument("--probe", action="store_true", help="try, as each role, what should be refused")
            command.add_argument("--fail-on", choices=SEVERITIES, default="low", help="the severity that counts from")
        if name in ("audit", "export"):
            command.add_argument("--database", help="this one alone")
    return parser.parse_args(given)


def login(dsn: str) -> dict[str, t.Any]:
    """*dsn* as login options; ValueError where it is none, or holds a secret."""
    try:
        import psycopg2
        import psycopg2.extensions
    except ImportError:
        raise ValueError("psycopg2 is missing: install the package python3-psycopg2") from None
    try:
        held = psycopg2.extensions.parse_dsn(dsn)
    except psycopg2.ProgrammingError:
        # libpq's own sentence quotes it, with whatever is in it.
        raise ValueError(
            "--dsn is no connection string: write it as 'host=NAME user=NAME' or postgresql://USER@HOST"
        ) from None
    if any(word in held for word in SECRETS):
        raise ValueError(
            "--dsn holds a password, which everybody on this machine can read there:"
            " put it into the file that PGPASSFILE names, or name a service (service=NAME)"
        )
    return {"login_dsn": dsn}


def read_data(path: Path) -> t.Any:
    """What the file of YAML or JSON holds; ValueError where it is neither, or says a thing twice."""
    try:
        import yaml
    except ImportError:
        if path.suffix == ".json":
            return json.loads(path.read_bytes())
        raise ValueError("PyYAML is missing: install the package python3-yaml, or give the policy as JSON") from None

    class Loader(yaml.SafeLoader):
        """YAML's plain part, in which of two equal keys the second would win in silence."""

        def construct_mapping(self, node: t.Any, deep: bool = False) -> dict[t.Any, t.Any]:
            """The mapping of *node*."""
            keys = [self.construct_object(key, deep=True) for key, _value in node.value]
            twice = next((key for number, key in enumerate(keys) if key in keys[:number]), None)
            if twice is not None:
                raise ValueError(f"{path}, line {node.start_mark.line + 1}: {twice} is written twice below here")
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(path.read_bytes(), Loader)  # noqa: S506 - a safe loader's child
    except yaml.MarkedYAMLError as error:
        # Its own sentence quotes the line, with whatever is in it.
        line = "" if error.problem_mark is None else f"line {error.problem_mark.line + 1}: "
        problem = QUOTED.sub(lambda found: "…" if found[1] else found[0], str(error.problem))
        raise ValueError(f"{path} is no YAML: {line}{problem}") from None
    except (yaml.YAMLError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML: {error}") from None


def read_policy(path: Path, mode: str | None = None) -> Policy:
    """The policy in the file, below access_policy or by itself."""
    return parse(policy_data(path), mode)


def policy_data(path: Path) -> t.Any:
    """What the file says of access."""
    held = read_data(path)
    policy = held["access_policy"] if isinstance(held, dict) and "access_policy" in held else held
    if any(sign in str(policy) for sign in ("{{", "{%")):
        raise ValueError(f"{path} has an expression that only Ansible understands: write the value in its place")
    return policy


def read_passwords(path: Path | None) -> dict[str, str]:
    """SCRAM verifiers by role; ValueError where others may read the file, or it holds something else."""
    if path is None:
        return {}
    if path.stat().st_mode & OTHERS:
        raise ValueError(f"others may read {path}: chmod 600 {path}")
    held = read_data(path)
    if not isinstance(held, dict) or not all(isinstance(one, str) for pair in held.items() for one in pair):
        raise ValueError(f"{path} has to hold a verifier for each role: ROLE: SCRAM-SHA-256$…")
    return held


def lock_file(given: str | None) -> str:
    """Where root's runs, or those of one user, meet."""
    if given is not None:
        return given
    if os.geteuid() == 0:
        return f"/run/{LOCK}"
    return str(Path(os.environ.get("XDG_RUNTIME_DIR") or Path.home()) / LOCK)


def plan(options: argparse.Namespace) -> int:
    """Say what would be run."""
    return _enforce(options, enforce.Options(check=True, lock_file=""), "to run")


def apply(options: argparse.Namespace) -> int:
    """Run it."""
    how = enforce.Options(check=False, lock_file=lock_file(options.lock_file), lock_timeout=options.lock_timeout)
    return _enforce(options, how, "run")


def _enforce(options: argparse.Namespace, how: enforce.Options, words: str) -> int:
    policy = read_policy(options.policy, options.mode)
    how = dataclasses.replace(
        how,
        hba=options.hba,
        skip_missing=options.skip_missing,
        passwords=read_passwords(options.passwords),
        exceeding=True,
    )
    try:
        outcome = enforce.enforce(login(options.dsn), policy, how)
    except enforce.StoppedError as error:
        _print_stopped(error, as_json=options.json)
        raise
    files = [(one.path, one.old.decode(errors="replace"), one.new.decode()) for one in outcome.login_files]
    said = warnings(outcome.skipped)
    looked = options.hba and policy.authoritative
    if options.hba and not looked:
        said.append(f"--hba: mode {policy.mode} takes no login away, so that logins were not looked at")
    differs = bool(outcome.exceeding or said) or (how.check and bool(outcome.queries))
    status = DRIFT if differs else CLEAN
    for sentence in said:
        _say(sentence)
    if options.json:
        answer = result(outcome.statements, outcome.queries, outcome.skipped, files)
        answer |= {"logins": "looked at" if looked else "not looked at", "status": status}
        _print_json(answer if policy.authoritative else {**answer, "exceeding": list(outcome.exceeding)})
        return status
    _print_sql(outcome.queries)
    for path, _old, _new in files:
        print(f"-- {plain(path)} is another one")
    if outcome.exceeding:
        print("-- Beyond the policy, which mode authoritative would put right:")
        _print_sql(outcome.exceeding, "-- ")
    print(
        f"-- {_count(outcome.queries)} {words}, mode {policy.mode}" + ("" if looked else "; logins were not looked at")
    )
    return status


def audit(options: argparse.Namespace) -> int:
    """Say what was found."""
    gather = {"findings", *(["probes"] if options.probe else [])}
    asked = {"policy": policy_data(options.policy), "database": options.database, "roles": None, "all_roles": False}
    answer = gathering.gathered({**login(options.dsn), **asked}, gather)
    bad = [one for one in answer["findings"] if one["severity"] in at_least(options.fail_on)]
    broken = [one for one in answer["assertions"] if not one["passed"]]
    failed = [one for one in answer.get("probes", []) if one["outcome"] == "failed"]
    # As whom nothing was tried, of them nothing is known.
    untried = inspecting.untried(parse(asked["policy"]), answer["probes"]) if options.probe else set()
    status = FAILED if answer["unread"] or untried else DRIFT if bad or broken or failed else CLEAN
    for one in answer["unread"]:
        _say(f"the database {one['database']} was not read: {one['why']}")
    if untried:
        _say(f"nothing could be tried as {', '.join(sorted(untried))}")
    if options.json:
        _print_json({**answer, "status": status})
        return status
    for one in answer["findings"]:
        print(f"{one['severity']:9} {one['rule']:24} {plain(one['evidence'])}")
    for one in broken:
        print(f"{'broken':9} {'assertion':24} {plain(one['id'])}")
    for one in failed:
        print(f"{'failed':9} {'probe':24} {plain(one['id'])}")
    held = len(answer["assertions"]) - len(broken)
    print(f"{len(answer['findings'])} findings; {held} of {len(answer['assertions'])} assertions hold", end="")
    print(f"; {answer['summary']['probes']['passed']} probes passed, {len(failed)} failed" if options.probe else "")
    return status


def export(options: argparse.Namespace) -> int:
    """Write the policy of what is there."""
    asked = {"policy": None, "database": options.database, "roles": None, "all_roles": False}
    answer = gathering.gathered({**login(options.dsn), **asked}, {"export"})
    exported, unread = answer["exported"], answer["unread"]
    for one in unread:
        _say(f"the database {one['database']} was not read: {one['why']}")
    for sentence in exported["not_expressed"]:
        _say(f"no policy can say: {sentence}")
    held = {"access_policy": exported["policy"]}
    if options.json:
        _print_json(held)
    else:
        import yaml

        print(yaml.safe_dump(held, sort_keys=False, allow_unicode=True, width=120), end="")
    return FAILED if unread else DRIFT if exported["not_expressed"] else CLEAN


def _count(queries: t.Sequence[str]) -> str:
    return "1 statement" if len(queries) == 1 else f"{len(queries)} statements"


def _print_sql(queries: t.Sequence[str], before: str = "") -> None:
    # A name may hold the end of a line, and what looks like the next one.
    for text in queries:
        print(f"{before}{plain(text)};")


def _print_stopped(error: enforce.StoppedError, *, as_json: bool) -> None:
    if as_json:
        done = {"queries": list(error.committed), "uncertain": list(error.uncertain)}
        _print_json({"failed": True, "msg": str(error), **done, "status": FAILED})
        return
    _print_sql(error.committed)
    if error.uncertain:
        print("-- Not known whether this was done:")
        _print_sql(error.uncertain, "-- ")


def _say(sentence: object) -> None:
    """For people: on one line, whatever a server or a file has put into it."""
    print(f"pg-access: {plain(' '.join(str(sentence).split()))}", file=sys.stderr)


def _print_json(answer: t.Any) -> None:
    print(json.dumps(answer, indent=2, ensure_ascii=False, default=str))


def main(given: t.Sequence[str] | None = None) -> int:
    """Run the command; its status."""
    options = arguments(given)
    try:
        status: int = options.run(options)
    except (OSError, ValueError) as error:
        _say(error)
        return FAILED
    return status


if __name__ == "__main__":
    sys.exit(main())
