"""What a boot would load beside our table is seen while it is not loaded yet."""

from __future__ import annotations

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.firewall.ruleset import included, of_others

DEBIAN = """#!/usr/sbin/nft -f

flush ruleset

table inet filter {
	chain input {
		type filter hook input priority filter;
	}
	chain forward {
		type filter hook forward priority filter;
	}
	chain output {
		type filter hook output priority filter;
	}
}
"""


@pytest.mark.parametrize("main", ["", "#!/usr/sbin/nft -f\n", DEBIAN, DEBIAN.replace("priority filter", "priority 0")])
def test_what_debian_ships_and_what_is_ours_is_nobody_else_s(main):
    assert of_others(main) == []
    assert of_others(included(main)) == []


def test_debian_s_own_as_nft_lists_it_is_nobody_else_s():
    listed = DEBIAN.replace("priority filter;", "priority filter; policy accept;").partition("ruleset\n")[2]
    assert of_others(listed) == []
    assert of_others(listed.replace("policy accept", "policy drop", 1)) != []


@pytest.mark.parametrize(
    ("added", "seen"),
    [
        ("table ip oops { chain x { type nat hook prerouting priority -100; } }", "table ip oops"),
        ('include "/etc/nftables.d/*.nft"', "include"),
        ("add rule inet taaraxtak input accept", "accept"),
        ("flush ruleset; delete table inet taaraxtak", "delete table"),
        ("table inet filter { chain input { type filter hook input priority filter; policy drop; } }", "policy drop"),
        ("table inet filter { chain input { type filter hook input priority filter; accept } }", "accept"),
    ],
)
def test_any_other_line_is(added, seen):
    for main in (included(f"{DEBIAN}{added}\n"), f"{included(DEBIAN)}{added}\n"):
        assert any(seen in line for line in of_others(main))


def test_a_rule_in_debian_s_own_chain_is():
    main = DEBIAN.replace("hook input priority filter;", "hook input priority filter;\n\t\ttcp dport 9 accept")
    assert "tcp dport 9 accept" in of_others(included(main))
