# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.certificate_findings: a preflight of a certificate and its key."""

from __future__ import annotations

import typing as t
from datetime import UTC, datetime

DOCUMENTATION = r"""
name: certificate_findings
short_description: Say what is wrong with a certificate and its key
version_added: 0.1.0
description:
  - Looks at a chain of certificates and the private key of a server or a client on the control machine, and returns all
    that is wrong at once.
  - The key must be that of the first certificate, the name must be among its names, each certificate must be followed
    by the one that issued it, and today must lie between their dates. No word of the key is repeated.
options:
  _input:
    description: The chain as text in PEM, the server's own certificate first.
    type: str
    required: true
  key:
    description: The private key as text in PEM, without a passphrase.
    type: str
    required: true
  name:
    description: The name that people type, or a list of names and addresses; a client has none.
    type: raw
    default: []
  common_name:
    description: The common name that a client logs in by.
    type: str
  authority:
    description: Certificates as text in PEM, one of which must have signed the last one of the chain.
    type: str
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Look at the certificate before touching any host
  ansible.builtin.assert:
    that: (chain | taaraxtak.production.certificate_findings(key=vault_key, name='grafana.example.org')).problems == []
"""

RETURN = r"""
_value:
  description: What makes it unfit, and what will soon do so, as two lists of sentences.
  type: dict
  sample: {problems: [], warnings: ["the certificate of CN=grafana.example.org ends on 2026-12-01, in 7 days"]}
"""

from ..module_utils.certificates.chain import of_a_client, problems, warnings
from ..module_utils.certificates.pem import led_to, read_chain, read_public_key


def _findings(
    text: str, key: str, name: str | t.Sequence[str] = (), common_name: str | None = None, authority: str | None = None
) -> dict[str, list[str]]:
    now = datetime.now(UTC)
    names = [name] if isinstance(name, str) else list(name)
    try:
        chain, public = read_chain(text), read_public_key(key)
        found = problems(chain, public, names, now)
        if common_name is not None:
            found += of_a_client(chain, common_name)
        if chain and authority is not None:
            found += led_to(text, authority)
    except ValueError as error:
        return {"problems": [str(error).rstrip(".")], "warnings": []}
    return {"problems": found, "warnings": warnings(chain, now)}


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"certificate_findings": _findings}
