"""What sshd does by whence somebody comes is seen in its files, which is where alone it can be."""

from __future__ import annotations

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.hosts.parsing.sshd import includes, matches


@pytest.mark.parametrize(
    "line",
    ["Match User alice", "match group sudo", "Match all", '  Match User "a b" Group c', "#Match Address 192.0.2.1",
     "Matching Address 192.0.2.1", "PermitRootLogin no"],
)  # fmt: skip
def test_what_is_about_accounts_is_asked_of_sshd_itself(line):
    assert matches(f"{line}\n    PermitRootLogin yes\n") == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("Match Address 203.0.113.0/24", "Address 203.0.113.0/24"),
        ("\tMATCH LocalPort 2222", "LocalPort 2222"),
        ('"Match" User alice Host *.example.org', "User alice Host *.example.org"),
        ("Match=Address 192.0.2.1", "Address 192.0.2.1"),
        ("Match User=alice", "User=alice"),
        ("Match Invalid-User", "Invalid-User"),
        ("Match User alice LocalAddress 192.0.2.1\r", "User alice LocalAddress 192.0.2.1"),
    ],
)
def test_what_is_about_anything_else_is_named(line, found):
    block = f"{line}\n    PermitRootLogin yes\n\tMaxSessions=1\n"
    assert matches(f"Port 22\n{block}Match all\nX11Forwarding no\n") == [
        (found, ["permitrootlogin yes", "maxsessions 1"])
    ]


def test_what_is_read_too_is_known():
    text = 'Include /etc/ssh/sshd_config.d/*.conf\n include a "b c"\n# Include d\n'
    assert includes(text) == ["/etc/ssh/sshd_config.d/*.conf", "a", "b c"]
