# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.scram_verifier: a password becomes a verifier before it leaves the controller."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: scram_verifier
short_description: Make the SCRAM-SHA-256 verifier of a password
version_added: 0.2.0
positional: host, role
description:
  - Makes on the controller what PostgreSQL would store for a password, so that the password itself reaches neither the
    host, nor a statement, nor the server's log.
  - The salt comes from the host's and the role's name, so each run makes the same verifier. A salt has to be unique,
    not secret.
  - Nobody can log in with a verifier, but passwords can be guessed by it. Treat it as a secret and use C(no_log).
options:
  _input:
    description: The password. Neither it nor its length is ever part of an error message.
    type: str
    required: true
  host:
    description: Whom the server is, for example C(inventory_hostname).
    type: str
    required: true
  role:
    description: Whose password it is.
    type: str
    required: true
notes:
  - A password that is not all ASCII is prepared by SASLprep, as PostgreSQL and its clients do it.
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Give the remote scraper its password
  taaraxtak.production.pg_access:
    policy: "{{ access_policy }}"
    passwords:
      scraper: "{{ vault_scraper_password | taaraxtak.production.scram_verifier(inventory_hostname, 'scraper') }}"
  no_log: true
"""

RETURN = r"""
_value:
  description: The verifier, C(SCRAM-SHA-256$4096:salt$StoredKey:ServerKey).
  type: str
"""

from ..module_utils.access.policy.passwords import salt_for, verifier


def scram_verifier(password: object, host: object, role: object) -> str:
    """The verifier of *password* for *role* on *host*; ValueError where one of them is no text, or empty."""
    for what, value in (("password", password), ("host", host), ("role", role)):
        if not isinstance(value, str) or not value:
            raise ValueError(f"scram_verifier: the {what} is empty or no text: write it as text")
    return verifier(str(password), salt_for(str(host), str(role)))


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"scram_verifier": scram_verifier}
