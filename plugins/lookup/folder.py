# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read folders of the controller whole."""

# ruff: noqa: E402  (Ansible wants the documentation before the imports)

from __future__ import annotations

DOCUMENTATION = r"""
name: folder
short_description: Read all files of a folder on the controller
version_added: 0.1.0
description:
  - Gives the relative path and the base64 content of each file below a folder, for the option O(ignore:trees) of
    M(taaraxtak.production.host_files).
  - Names that begin with a dot, C(__pycache__) and C(*.pyc) are left out.
  - Refuses a folder that is missing, a link that leaves it or leads to a folder, and more than 8 MiB in all.
options:
  _terms:
    description:
      - Folders. A relative path is searched for as files are, in C(files) of the role or beside the playbook.
    type: list
    elements: str
    required: true
  exclude:
    description:
      - Names, relative paths or glob patterns that are left out too.
      - One that begins with C(/) is meant from the folder itself.
    type: list
    elements: str
    default: []
  only:
    description: Patterns of the same kind. Where there are any, files that none of them means are left out.
    type: list
    elements: str
    default: []
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Install the collector
  taaraxtak.production.host_files:
    trees:
      - path: /opt/taaraxtak/app
        files: "{{ lookup('taaraxtak.production.folder', collector_source, exclude=['tests', 'config.py']) }}"
        keep: [config.py, __pycache__]
"""

RETURN = r"""
_raw:
  description: For each folder a dictionary of relative path and base64 content, sorted by path.
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..module_utils.files.folder import read_folder


class LookupModule(LookupBase):
    """The lookup ``taaraxtak.production.folder``."""

    def run(self, terms: list[str], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[dict[str, str]]:
        self.set_options(var_options=variables, direct=kwargs)
        exclude, only = self.get_option("exclude"), self.get_option("only")
        try:
            return [read_folder(self._find(term, variables or {}), exclude, only=only) for term in terms]
        except (ValueError, OSError) as error:
            raise AnsibleLookupError(str(error)) from error

    def _find(self, term: str, variables: dict[str, t.Any]) -> str:
        # the sentence about a missing folder is read_folder's
        return term if term.startswith("/") else self.find_file_in_search_path(variables, "files", term, True) or term
