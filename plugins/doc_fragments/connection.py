# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of every module that talks to PostgreSQL."""

from __future__ import annotations


class ModuleDocFragment:
    """Connection options; module_utils/postgres/connection.py has the argument spec."""

    DOCUMENTATION = r"""
options:
  login_unix_socket:
    description:
      - Folder of the server's unix socket. Wins over O(login_host).
      - Without either, the client library's own default socket is used.
    type: path
  login_host:
    description: Host name or address of the server.
    type: str
  login_port:
    description: Port of the server; it also names the socket file.
    type: int
    default: 5432
  login_user:
    description: Role to log in as. The default is the name of the operating system's user that the task runs as.
    type: str
  login_password:
    description: Password, where the server asks for one. Logins by peer need none.
    type: str
  login_os_user:
    description:
      - The operating system's user to log in as, when the task runs as root and the server asks for the peer.
      - Root is this user for the moment of the login alone, and by default logs in as the role of the same name.
    type: str
requirements:
  - psycopg2 on the host that runs the module (Debian's python3-psycopg2)
"""
