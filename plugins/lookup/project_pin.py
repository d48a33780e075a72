# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the version that a project has written down with this one."""

# ruff: noqa: E402  (Ansible wants the documentation before the imports)

from __future__ import annotations

DOCUMENTATION = r"""
name: project_pin
short_description: Say whether a project works with another version of the collection
version_added: 0.1.0
description:
  - Reads C(requirements.yml) of a project, beside the version of the collection that this lookup lies in.
  - A commit or a branch of git can't be compared and is let pass; C(tools/doctor.py) says so.
options:
  _terms:
    description: Folders of projects.
    type: list
    elements: str
    required: true
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Stop where the project works with another version
  ansible.builtin.assert:
    that: lookup('taaraxtak.production.project_pin', project_folder) == ''
    fail_msg: "{{ lookup('taaraxtak.production.project_pin', project_folder) }}"
"""

RETURN = r"""
_raw:
  description: For each folder what is wrong, a sentence. It is empty where nothing is.
  type: list
  elements: str
"""

import typing as t
from pathlib import Path

import yaml
from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..module_utils.project.installed import version
from ..module_utils.project.pin import DIFFERS, judged

ROOT = Path(__file__).resolve().parents[2]


class LookupModule(LookupBase):
    """The lookup ``taaraxtak.production.project_pin``."""

    def run(self, terms: list[str], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        return [_problem(Path(term)) for term in terms]


def _problem(project: Path) -> str:
    requirements = project.resolve() / "requirements.yml"
    try:
        verdict, said = judged(_read(requirements), version(ROOT, _read))
    except FileNotFoundError:
        return f"There is no {requirements}: write there which version of the collection the project works with."
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise AnsibleLookupError(f"{requirements} can't be read: {error}") from error
    return f"The project in {requirements.parent} works with another version: {said}." if verdict == DIFFERS else ""


def _read(path: Path) -> t.Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))
