#!/usr/bin/python
# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dump_info
short_description: Say which dumps a store holds, which of them count, and how old they are
version_added: 0.1.0
description:
  - Reads the folders of a dump store on its host, checks the signature of each archived dump and looks for the results
    of drills. Nothing is changed, and no dump's data are read.
  - Only a dump that is archived and has a right signature counts. It is verified once a drill has restored it.
  - Ages are by the clock of the host that answers, from when the store received the dump. Of a store that only keeps
    files production's clock says when that was.
options:
  name:
    description: Answer of the dump of this name only.
    type: str
    default: ""
  database:
    description: Answer of this database's dumps only. Globals bear the name of the first database that is dumped.
    type: str
    default: ""
  kind:
    description: Answer of dumps of databases only, of those of the cluster's globals, or of rows that actions saved.
    type: str
    choices: [any, dump, globals, saved]
    default: any
  judge:
    description:
      - Answer RV(verdict), too, which is what the store's own check says. It looks at the whole store, whatever
        O(name), O(database) and O(kind) are.
    type: bool
    default: false
    version_added: 0.3.0
  store:
    description:
      - The name of a store that only keeps files, such as a storage box, an SFTP server or a bucket. The host that asks
        reaches it by the settings of C(dump-carry), which O(settings) names then.
      - Its dumps count as archived once they have their manifest, though whoever has the key that production sends with
        can change and remove them. Nobody drills them there. RV(store.loses) says what else is not promised.
    type: str
    default: ""
    version_added: 0.3.0
  settings:
    description:
      - The settings of the store that say where the dumps are, and whose signature is right.
      - With O(store) the default is C(/etc/taaraxtak/dump-carry.json), else C(/etc/taaraxtak/dump-keep.json).
    type: path
extends_documentation_fragment:
  - taaraxtak.production.attributes
attributes:
  check_mode:
    details:
      - The answer is the same.
      - Where the store is not set up yet, it is empty in check mode, and RV(ignore:msg) says so.
  diff_mode:
    support: none
    details: Nothing is ever changed.
seealso:
  - module: taaraxtak.production.dump_stream
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Look what the store holds of a database
  taaraxtak.production.dump_info:
    database: taaraxtak
    kind: dump
  become: true
  register: store

- name: Look what a storage box holds, as a host that knows its signers
  taaraxtak.production.dump_info:
    store: box
    settings: "{{ playbook_dir }}/../build/stores/dump-carry.json"
    judge: true
  delegate_to: localhost

- name: Look whether the newest dump that counts is younger than a day
  ansible.builtin.assert:
    that: store.newest | map(attribute='archived') | select | selectattr('age_s', 'lt', 86400) | list | length == 1
    quiet: true

- name: Fail where the store's own check is not content
  taaraxtak.production.dump_info:
    judge: true
  become: true
  register: store
  failed_when: store is failed or store.verdict.level != 'ok'

- name: Wait until a dump is archived
  taaraxtak.production.dump_info:
    name: taaraxtak_2026-11-22-03.00.00.sql.zst
  become: true
  register: one
  until: one.dumps | selectattr('archived') | list
  retries: 30
  delay: 2
"""

RETURN = r"""
dumps:
  description: The dumps that are there, oldest first.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name of the dump, which is that of its file.
      type: str
    database:
      description: The database; of globals the first one that is dumped.
      type: str
    kind:
      description: V(dump), V(globals) or V(saved).
      type: str
    encrypted:
      description: Whether it is encrypted with age.
      type: bool
    archived:
      description:
        - Whether it is in the archive, where the account that receives dumps can't touch it.
        - In a store that only keeps files, whether it has its manifest. There is no archive there, and whoever has the
          key that production sends with can change and remove it.
      type: bool
    signed:
      description: Whether it is archived and its signature is right.
      type: bool
    signer:
      description: The host whose signature it is, by its name in the inventory; V("") without a right signature.
      type: str
    verified:
      description: Whether a drill has restored it and found it equal.
      type: bool
    drill:
      description:
        - What the last drill of it has found; null where there was none, or where its result does not count.
        - RV(dumps[].verified) is what follows from it.
      type: dict
      contains:
        ok:
          description: Whether the copy was found equal.
          type: bool
        started:
          description: When it was begun, by the store's clock, in UTC.
          type: str
        finished:
          description: When it ended.
          type: str
        seconds:
          description: How long it took.
          type: float
        sha256:
          description: Of the file that was drilled; V("") where an older version has written the result.
          type: str
        problems:
          description: Sentences about what is wrong, which name the tables; none where all is well.
          type: list
          elements: str
        versions:
          description: The version of the server that the dump was made by (C(dump)), and of the sandbox's (C(sandbox)).
          type: dict
        tables:
          description: How many tables the copy has.
          type: int
        rows:
          description: The rows of the copy.
          type: int
        counts:
          description: What the copy holds of each kind.
          type: dict
          sample: {"tables": 7, "indexes": 3, "constraints": 4, "sequences": 2}
        ddl:
          description: How the statements of the schema compare, V(equal), V(different) or why they were not compared.
          type: str
        policy:
          description: Whether it was held against the access policy (C(checked)), and what broke it (C(problems)).
          type: dict
    adopted:
      description: Whether it is an old dump without a signature that was taken in by hand. It does not count.
      type: bool
    bytes:
      description: The size of the file.
      type: int
    raw_bytes:
      description: The size of the text in it.
      type: int
    sha256:
      description: Of the file.
      type: str
    rows:
      description: The rows of all tables.
      type: int
    tables:
      description: The rows of each table.
      type: dict
    started:
      description: When it was begun, by production's clock, in UTC.
      type: str
    received:
      description:
        - When it was received, by the store's clock, in UTC.
        - In a store that only keeps files by production's clock. It stands in the manifest and is not signed, so
          whoever can write there can change it.
      type: str
    store:
      description: The kind of a store that only keeps files; missing in a dump store.
      returned: with O(store)
      type: str
    age_s:
      description: Seconds since RV(dumps[].received).
      type: int
newest:
  description:
    - For each database and kind of RV(dumps), and each host that signed some, the newest one that counts, and the
      newest one that is verified. One that was received in the future, by this clock, is none of them.
  returned: success
  type: list
  elements: dict
  contains:
    database:
      description: See RV(dumps[].database).
      type: str
    kind:
      description: See RV(dumps[].kind).
      type: str
    signer:
      description: See RV(dumps[].signer). It is empty where no dump of this database and kind counts.
      type: str
    archived:
      description: The newest dump that is archived and rightly signed, as in RV(dumps); null where there is none.
      type: dict
    verified:
      description: The newest dump that is verified, as in RV(dumps); null where there is none.
      type: dict
store:
  description: What the store promises less than a dump store does. See docs/stores.md.
  returned: success
  type: dict
  contains:
    kind:
      description: V(dump_store), V(ssh_files), V(sftp) or V(s3).
      type: str
    loses:
      description: A sentence for each promise that it does not make; none of a dump store.
      type: list
      elements: str
problems:
  description: Sentences about what lies in the store and should not, such as files that are no dumps.
  returned: success
  type: list
  elements: str
verdict:
  description:
    - What C(dump-store check) says of the store, by the limits in O(settings). It is made anew; nobody is told of it,
      and no figures are written.
  returned: with O(judge), where the store is set up
  type: dict
  contains:
    level:
      description: V(ok), V(warning) or V(critical).
      type: str
    at:
      description: When it was judged, by the store's clock, in UTC.
      type: str
    findings:
      description: What is not as it should be, the worst first.
      type: list
      elements: dict
      contains:
        level:
          description: V(warning) or V(critical).
          type: str
        sentence:
          description: What is wrong.
          type: str
        steady:
          description: The same without what changes by itself, such as ages.
          type: str
        about:
          description:
            - V(missing), V(old) or V(unverified), of a database or globals; V(lost), of a dump that has less than the
              one before; V(ahead) or V(replayed), of times that don't fit; V(room), V(waiting), V(excuse) or V(file).
          type: str
        where:
          description: What it was found at.
          type: str
    groups:
      description: The newest archived and the newest verified dump of each database, and of globals, by signer.
      type: list
      elements: dict
    space:
      description: In bytes what the dumps take (C(used)) and may (C(quota)), what is C(free), and what is C(reserve).
      type: dict
"""

import datetime as dt
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.dumps.config import read_settings
from ..module_utils.dumps.control import Shelf, look
from ..module_utils.dumps.keeper import CONFIG, Settings, check
from ..module_utils.dumps.plain import command as carrying
from ..module_utils.dumps.plain.guarantees import DUMP_STORE, told
from ..module_utils.dumps.processes import DumpError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "default": ""},
            "database": {"type": "str", "default": ""},
            "kind": {"type": "str", "choices": ["any", "dump", "globals", "saved"], "default": "any"},
            "judge": {"type": "bool", "default": False},
            "store": {"type": "str", "default": ""},
            "settings": {"type": "path"},
        },
        supports_check_mode=True,
    )
    params, now = module.params, dt.datetime.now(dt.UTC)
    path = params["settings"] or (carrying.CONFIG if params["store"] else CONFIG)
    result: dict[str, t.Any] = {"store": told(DUMP_STORE)}
    try:
        if module.check_mode and not os.path.exists(path):  # noqa: PTH110 (the option is a string)
            role = "backup" if params["store"] else "dump_store"
            result["msg"] = f"{path} is not there yet: a real run needs the role {role}"
            shelf = Shelf((), ())
        elif params["store"]:
            carrier = read_settings(carrying.Settings, path)
            place = carrier.place(params["store"])
            rows, problems, verdict, result["store"] = carrying.survey(carrier, place, now)
            shelf = Shelf(tuple(rows), tuple(problems))
            if params["judge"]:
                result["verdict"] = verdict.document()
        else:
            settings = read_settings(Settings, path)
            shelf = look(settings, now)
            if params["judge"]:
                result["verdict"] = check(settings, now).document()
    except (DumpError, ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    kind = "" if params["kind"] == "any" else params["kind"]
    shelf = shelf.chosen(name=params["name"], database=params["database"], kind=kind)
    module.exit_json(
        changed=False, dumps=list(shelf.dumps), newest=shelf.newest(), problems=list(shelf.problems), **result
    )


if __name__ == "__main__":
    main()
