#!/usr/bin/python
# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dump_restore
short_description: Restore a dump beside the database, prove the copy equal, and let it take the database's place
version_added: 0.2.0
description:
  - Fetches, decrypts and unpacks a dump as a stream, and runs it in a new database C(NAME__restoring) as a role that is
    no superuser. No file is written.
  - The signature is checked first. Then the copy is dumped again, and the rows and SHA-256 of every table, the
    sequences and the statements of the schema are compared with the manifest.
  - What a dump does not hold, privileges and settings of the database itself, comes from the access policy, which is
    applied to the copy while it still has its own name. Without a policy the copy takes over from the database that it
    replaces who may connect, its settings (C(ALTER DATABASE ... SET), C(ALTER ROLE ... IN DATABASE)), and its limit
    of connections.
  - At last whoever is connected is sent away, and both names are swapped in one transaction. What was there before is
    C(NAME__previous), with its rows, owners, privileges and settings. No policy speaks of it, but one speaks of roles;
    so the next run of M(taaraxtak.production.pg_access) resets what they have set in it
    (C(ALTER ROLE ... IN DATABASE)).
  - Whatever fails before that leaves the database as it was, and the message says so. What a run that was killed has
    left is removed by the next one.
  - What only a superuser may make, such as untrusted extensions and objects that belong to a superuser, is refused.
options:
  file:
    description:
      - The dump is this file of the host, whose name ends in C(.sql.zst), C(.sql.zst.age), C(.sql.gz),
        C(.sql.tar.gz) or C(.sql). A file of the name with C(.manifest.json) behind it is its manifest.
      - One of O(file), O(command) and O(archive) is needed.
    type: path
  command:
    description:
      - The dump is fetched by these words, as a rule those of ssh with a reading key. C(list), C(manifest NAME) and
        C(fetch NAME) are put behind them.
    type: list
    elements: str
  archive:
    description: The dump lies in this folder of the host, a dump store's archive.
    type: path
  name:
    description: The name of the dump, in O(command) or O(archive). Without it, it is the newest archived one.
    type: str
    default: ""
  database:
    description: The database whose dump it is. It is also the one that is restored into, unless O(into) says another.
    type: str
    default: ""
  verified:
    description: Take only a dump that a drill has verified. O(archive) alone knows that.
    type: bool
    default: false
  into:
    description:
      - The database to restore into. The default is O(database), and without that the one that the dump is of.
      - A name that is given and empty is refused.
    type: str
  owner:
    description:
      - The role that gets the database, and what the dump gives to nobody.
      - The default is the owner of the database that is there until now, or the superuser that logs in.
    type: str
    default: ""
  keep_previous:
    description: How many of the databases that were there before are kept, as C(NAME__previous), C(NAME__previous_2).
    type: int
    default: 1
  signers:
    description:
      - File with whose signatures count, as ssh-keygen(1) has it in ALLOWED SIGNERS.
      - The default is C(/etc/taaraxtak/dump_signers), where that is there.
    type: path
  unproved:
    description:
      - Restore a dump though it has no manifest or no signature, or though there are no O(signers).
      - A signature that is there and wrong is always refused.
    type: bool
    default: false
  timezone:
    description:
      - The time zone in which the copy's times are written to be compared, that of the server that made the dump.
      - Dumps of this collection are made in UTC. An old one has the setting of its server, of its database or of who
        made it.
    type: str
    default: UTC
  identity:
    description: File with the key of age that opens an encrypted dump.
    type: path
  missing_roles:
    description:
      - What to do where the dump names a role that is not there. V(create) makes it, without login.
      - V(fail) restores nothing.
    type: str
    choices: [fail, create]
    default: fail
  policy:
    description:
      - The access policy that the copy is put under, as M(taaraxtak.production.pg_access) has it. What it says of other
        databases is left out, and C(pg_hba.conf) is not touched.
      - Without one everybody who may log in may connect to a database that was not there before.
    type: dict
  passwords:
    description: Password verifiers by role, as M(taaraxtak.production.pg_access) has them.
    type: dict
    default: {}
  missing_objects:
    description: What to do where the policy names an object that the dump does not hold. V(skip) goes on and warns.
    type: str
    choices: [fail, skip]
    default: fail
  lock_file:
    description: File that is locked while the policy is applied, the same as that of M(taaraxtak.production.pg_access).
    type: path
    default: /run/taaraxtak-pg_access.lock
  restore_user:
    description:
      - A role that is no superuser, to run the dump as. The default is one that is made for that time, with a password,
        and let in by the row of C(pg_hba.conf) that M(taaraxtak.production.pg_access) writes for it.
    type: str
    default: ""
  restore_os_user:
    description: The operating system's user that O(restore_user) is by peer.
    type: str
    default: ""
  restore_into_production:
    description:
      - Restore though the server is on a production host, or is another machine. O(production_host) is then needed.
      - A host where dumps are made (the role C(backup) was applied) is a production host. So are O(production_hosts).
        The server itself is asked, so that a forwarded port is found out.
    type: bool
    default: false
  production_host:
    description: The name of that production host, typed out. It must be what the host calls itself, or O(login_host).
    type: str
    default: ""
  production_hosts:
    description:
      - Names of hosts that are production though no dumps are made there. The server is asked on which host it runs.
    type: list
    elements: str
    default: []
  progress:
    description:
      - A file of the host that tells meanwhile how far the restore is, and is gone afterwards. It is made anew, in a
        folder that is there and that nobody else writes to, such as one in C(/run).
      - With it C(ansible-playbook) shows bytes, rate and the time that is left, on a terminal in one line and elsewhere
        in a line every ten seconds. It reads the file as the connection's own user, so without C(become), and shows
        nothing where that user can't.
    type: path
  bindir:
    description: Folder of C(psql) and C(pg_dump) of the server's version. The default is Debian's, or what is on PATH.
    type: path
extends_documentation_fragment:
  - taaraxtak.production.connection
  - taaraxtak.production.attributes
attributes:
  check_mode:
    details:
      - Checks the signature and what the server is and has, and names the dump, the database and the sizes. It only
        reads.
      - Of a file without a manifest the rows are not known.
  diff_mode:
    support: none
    details: The rows of the database that is replaced are not counted, which could take as long as the restore itself.
seealso:
  - module: taaraxtak.production.dump_info
  - module: taaraxtak.production.pg_access
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Restore the newest dump that lies in this host's archive
  taaraxtak.production.dump_restore:
    archive: /var/lib/taaraxtak-dumps/archive
    database: taaraxtak
    policy: "{{ access_policy }}"
    login_os_user: postgres
  become: true

- name: See what a dump would bring, beside the database and not into it
  taaraxtak.production.dump_restore:
    command: [ssh, -oBatchMode=yes, -oStrictHostKeyChecking=yes, -i, /run/restore/key, dumps-read@store.example.org]
    name: taaraxtak_2026-11-22-03.00.00.sql.zst
    into: taaraxtak_before
    signers: /run/restore/signers
    login_os_user: postgres
  become: true
  check_mode: true

- name: Restore into production itself
  taaraxtak.production.dump_restore:
    file: /run/restore/taaraxtak_2026-11-22-03.00.00.sql.zst
    policy: "{{ access_policy }}"
    restore_into_production: true
    production_host: production
    login_os_user: postgres
  become: true
"""

RETURN = r"""
dump:
  description: What is known of the dump.
  returned: success
  type: dict
  contains:
    name:
      description: Its name, V("") where the file has another one.
      type: str
    file:
      description: What it is called where it lies.
      type: str
    database:
      description: The database that it is of, V("") where that is not known.
      type: str
    bytes:
      description: The size as it is stored.
      type: int
    sha256:
      description: Of the dump as it is stored.
      type: str
    encrypted:
      description: Whether it is encrypted.
      type: bool
    adopted:
      description: Whether it is an old dump that was taken in by hand.
      type: bool
    raw_bytes:
      description: The size of the text. Only with a manifest.
      type: int
    rows:
      description: The rows of all tables. Only with a manifest.
      type: int
    started:
      description: When it was begun. Only with a manifest.
      type: str
    finished:
      description: When it was done. Only with a manifest.
      type: str
    received:
      description: When the store received it. Only with a manifest.
      type: str
database:
  description: The database that is restored into.
  returned: success
  type: str
signed_by:
  description: Who has signed the dump, V("") where nobody did.
  returned: success
  type: str
unproved:
  description: Why nothing proves who made the dump, and what would, V("") where its signature is right.
  returned: success
  type: str
tables:
  description: The rows of each table; in check mode as the manifest says.
  returned: success
  type: dict
rows:
  description: The rows of all tables.
  returned: success
  type: int
previous:
  description: What the database that was there before is called now, V("") where there was none or it is not kept.
  returned: when it was restored
  type: str
would_drop:
  description: The databases that were there before and would be dropped, since O(keep_previous) is no larger.
  returned: in check mode
  type: list
  elements: dict
  contains:
    name:
      description: The name of the database.
      type: str
    until:
      description: Until when it was in use, at the least, in UTC.
      type: str
  sample: [{"name": "taaraxtak__previous", "until": "2026-11-22T09:12:44Z"}]
dropped:
  description: Older ones that are gone.
  returned: when it was restored
  type: list
  elements: str
roles:
  description: The roles that were made, since the dump names them.
  returned: when it was restored
  type: list
  elements: str
bytes:
  description: The size of the text that was restored.
  returned: when it was restored
  type: int
seconds:
  description: How long each part took.
  returned: when it was restored
  type: dict
  sample: {"check": 0.1, "create": 0.3, "restore": 41.2, "prove": 12.0, "policy": 0.4, "swap": 0.2}
proof:
  description: What the copy was found to hold. Statements are compared between servers of one major version.
  returned: when it was restored
  type: dict
  sample: {"tables": 7, "rows": 120000, "ddl": "equal"}
"""

import contextlib
import datetime as dt
import getpass
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.access import enforce
from ..module_utils.access.plan.report import warnings
from ..module_utils.access.plan.statements import Skipped
from ..module_utils.access.policy.reader import parse
from ..module_utils.access.policy.renamed import renamed
from ..module_utils.dumps.folder import Folder
from ..module_utils.dumps.processes import DumpError
from ..module_utils.dumps.restore import restoring
from ..module_utils.dumps.restore.choosing import choose
from ..module_utils.dumps.restore.command import found_signers, permission_of
from ..module_utils.dumps.restore.material import Material, from_archive, from_command, from_file
from ..module_utils.dumps.restore.server import Server
from ..module_utils.dumps.restore.target import UTC, Target, check_name
from ..module_utils.dumps.restore.told import Told
from ..module_utils.dumps.restore.untouched import Untouched
from ..module_utils.dumps.transfer import Interruption
from ..module_utils.postgres.connection import login_argument_spec

Params = dict[str, t.Any]


def material_of(params: Params) -> Material:
    """The dump that the options name."""
    name, database = params["name"], params["database"]
    if params["verified"] and params["archive"] is None:
        raise ValueError("verified goes with archive: elsewhere nobody knows what a drill has verified")
    if params["file"] is not None:
        if name:
            raise ValueError("name chooses among the dumps of command or archive: leave it out with file")
        return from_file(params["file"])
    if params["command"] is not None:
        return from_command(params["command"], name=name, database=database)
    archive = Folder(params["archive"])
    signers = found_signers(params["signers"] or "")
    found = choose(archive, signers, dt.datetime.now(dt.UTC), name=name, database=database, verified=params["verified"])
    return from_archive(archive, found)


def options_of(params: Params, material: Material) -> restoring.Options:
    """How to restore it."""
    if params["into"] is not None:
        # A name that is given and empty means no database, and not the one that is there.
        check_name(params["into"])
    if params["database"] and not params["into"] and material.database not in ("", params["database"]):
        raise ValueError(
            f"{material.file} is a dump of {material.database}, not of {params['database']}: say into, if it shall "
            "be restored there all the same"
        )
    return restoring.Options(
        database=params["into"] or params["database"],
        owner=params["owner"],
        keep_previous=params["keep_previous"],
        signers=found_signers(params["signers"] or ""),
        unproved=params["unproved"],
        create_roles=params["missing_roles"] == "create",
        timezone=params["timezone"],
        identity=params["identity"] or "",
    )


def target_of(params: Params) -> Target:
    """The server."""
    return Target(
        host=params["login_unix_socket"] or params["login_host"] or Target.host,
        port=params["login_port"],
        user=params["login_user"] or params["login_os_user"] or getpass.getuser(),
        os_user=params["login_os_user"] or "",
        password=params["login_password"] or "",
        bindir=params["bindir"] or "",
        restore_user=params["restore_user"],
        restore_os_user=params["restore_os_user"],
    )


class Policy:
    """The access policy for the copy; ``skipped`` is what it left alone."""

    def __init__(self, params: Params, names: t.Sequence[str], server: Server) -> None:
        """The first of the *names* that the policy speaks of is the database that the copy is."""
        self.skipped: tuple[Skipped, ...] = ()
        self._server = server
        self._policy = parse(params["policy"])
        self._database = next((name for name in names if name in self._policy.databases), names[0])
        self._login = {key: params[key] for key in login_argument_spec()}
        if not self._login["login_host"]:
            self._login["login_unix_socket"] = server.target.host
        self._options = enforce.Options(
            check=False,
            lock_file=params["lock_file"],
            hba=False,
            skip_missing=params["missing_objects"] == "skip",
            passwords=params["passwords"],
        )
        # What can't be applied is said before anything is made.
        renamed(self._policy, self._database, self._database, ())

    def apply(self, copy: str) -> None:
        """Put the copy under it."""
        existing = {name for (name,) in self._server.session.rows("SELECT datname FROM pg_database")}
        policy = renamed(self._policy, self._database, copy, existing)
        self.skipped = enforce.enforce(self._login, policy, self._options).skipped


def work(module: AnsibleModule) -> dict[str, t.Any]:
    """Do what the options say, or only look; what the module returns."""
    params = module.params
    interruption = Interruption()
    interruption.listen()
    with contextlib.ExitStack() as stack:
        with Untouched() as untouched:
            untouched.database = params["into"] or params["database"]
            permission = permission_of(
                into=params["restore_into_production"],
                typed=params["production_host"],
                known=params["production_hosts"],
            )
            target = target_of(params)
            material = material_of(params)
            untouched.database = untouched.database or material.database
            options = options_of(params, material)
            plan = restoring.plan(material, options)
            server = stack.enter_context(Server(target, permission))
            names = (plan.database, params["database"], material.database)
            policy = Policy(params, names, server) if params["policy"] is not None else None
            if module.check_mode:
                server.check(plan.needs)
                would_drop = server.would_drop(plan.database, options.keep_previous)
                return {"changed": True, **plan.document(), "would_drop": would_drop}
            told = stack.enter_context(Told(params["progress"] or ""))
        apply = None if policy is None else policy.apply
        commit = interruption.hold
        report = restoring.restore(server, plan, options, apply_policy=apply, show=told.show, commit=commit)
    skipped = policy.skipped if policy is not None else ()
    for sentence in [*filter(None, [plan.unproved]), *warnings(skipped), *report.swapped.problems]:
        module.warn(sentence)
    return {"changed": True, **report.document()}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **login_argument_spec(),
            "file": {"type": "path"},
            "command": {"type": "list", "elements": "str"},
            "archive": {"type": "path"},
            "name": {"type": "str", "default": ""},
            "database": {"type": "str", "default": ""},
            "verified": {"type": "bool", "default": False},
            "into": {"type": "str"},
            "owner": {"type": "str", "default": ""},
            "keep_previous": {"type": "int", "default": 1},
            "signers": {"type": "path"},
            "unproved": {"type": "bool", "default": False},
            "timezone": {"type": "str", "default": UTC},
            "identity": {"type": "path"},
            "missing_roles": {"type": "str", "choices": ["fail", "create"], "default": "fail"},
            "policy": {"type": "dict"},
            "passwords": {"type": "dict", "default": {}, "no_log": True},
            "missing_objects": {"type": "str", "choices": ["fail", "skip"], "default": "fail"},
            "lock_file": {"type": "path", "default": "/run/taaraxtak-pg_access.lock"},
            "restore_user": {"type": "str", "default": ""},
            "restore_os_user": {"type": "str", "default": ""},
            "restore_into_production": {"type": "bool", "default": False},
            "production_host": {"type": "str", "default": ""},
            "production_hosts": {"type": "list", "elements": "str", "default": []},
            "progress": {"type": "path"},
            "bindir": {"type": "path"},
        },
        mutually_exclusive=[["file", "command", "archive"]],
        required_one_of=[["file", "command", "archive"]],
        supports_check_mode=True,
    )
    try:
        answer = work(module)
    except (DumpError, ValueError, OSError) as error:
        module.fail_json(msg=str(error) or type(error).__name__, changed=False)
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
