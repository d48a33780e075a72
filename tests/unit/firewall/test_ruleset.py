"""The text that nft reads: it says what is open, and nothing that is given can say more."""

from __future__ import annotations

import re
import shutil
import subprocess
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.firewall.ruleset import (
    MAIN,
    OURS,
    at_boot,
    included,
    render,
    restore,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.firewall.wanted import read_firewall
from hypothesis import given, settings
from hypothesis import strategies as st

NFT = shutil.which("nft", path="/usr/sbin:/sbin")
INCLUDE = f'include "{OURS}"\n'
# Every line that may stand between the braces of the chain, whole.
RULE = re.compile(
    r"(?:meta nfproto ipv[46]|ip saddr \{ [0-9./, ]+ \}|ip6 saddr \{ [0-9a-f:./, ]+ \}) "
    r'(?:tcp|udp) dport [0-9]+ accept comment "[^"\n]+"'
)
# What nft gives a meaning to, and what a line ends with.
HOSTILE = st.text(st.sampled_from(list("\"'\\{};#$@!\n\r\t \x00\x0b\x85\u2028aé")), min_size=1, max_size=30)


def of(*openings: dict[str, t.Any], admin: t.Sequence[str] = ("192.0.2.0/24",)) -> str:
    return render(read_firewall(admin, 22, openings))


def base(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


@pytest.mark.parametrize(
    ("networks", "lines"),
    [
        (["192.0.2.7"], ['ip saddr { 192.0.2.7 } tcp dport 5432 accept comment "x"']),
        (["192.0.2.7/32", "192.0.2.7"], ['ip saddr { 192.0.2.7 } tcp dport 5432 accept comment "x"']),
        # nft refuses networks that overlap
        (["10.0.0.0/8", "10.1.0.0/16"], ['ip saddr { 10.0.0.0/8 } tcp dport 5432 accept comment "x"']),
        (["10.0.0.0/9", "10.128.0.0/9"], ['ip saddr { 10.0.0.0/8 } tcp dport 5432 accept comment "x"']),
        (["2001:DB8::1"], ['ip6 saddr { 2001:db8::1 } tcp dport 5432 accept comment "x"']),
        (["0.0.0.0/0"], ['meta nfproto ipv4 tcp dport 5432 accept comment "x"']),
        (
            ["192.0.2.7", "::/0"],
            [
                'ip saddr { 192.0.2.7 } tcp dport 5432 accept comment "x"',
                'meta nfproto ipv6 tcp dport 5432 accept comment "x"',
            ],
        ),
    ],
)
def test_an_opening_becomes_its_rules(networks: list[str], lines: list[str]) -> None:
    with_it = base(of({"port": 5432, "from": networks, "reason": "x"}))
    without = base(of())
    assert [line for line in with_it if line not in without] == lines


def test_what_is_not_open_is_dropped() -> None:
    assert "type filter hook input priority filter; policy drop;" in base(of())


def test_only_our_table_is_spoken_of() -> None:
    tables = re.findall(r"^(?:add |delete )?table (.+?)(?: \{)?$", of(), re.MULTILINE)
    assert tables == ["inet taaraxtak"] * 3
    assert "flush" not in of()


@given(reason=HOSTILE)
def test_a_hostile_reason_adds_no_rule(reason: str) -> None:
    harmless = of({"port": 5432, "from": ["192.0.2.7"], "reason": "x"})
    try:
        text = of({"port": 5432, "from": ["192.0.2.7"], "reason": reason})
    except ValueError:
        return
    changed = [line for line in text.split("\n") if line not in harmless.split("\n")]
    assert len(text.split("\n")) == len(harmless.split("\n"))
    assert all(RULE.fullmatch(line.strip()) for line in changed)


@given(
    network=HOSTILE | st.sampled_from(["192.0.2.7", "::/0"]).flatmap(lambda good: HOSTILE.map(lambda bad: good + bad))
)
def test_a_hostile_network_is_refused(network: str) -> None:
    with pytest.raises(ValueError, match="port 5432"):
        of({"port": 5432, "from": [network], "reason": "x"})


@pytest.mark.skipif(NFT is None, reason="nft is not installed")
@settings(max_examples=30, deadline=None)
@given(
    reason=HOSTILE | st.text(min_size=1, max_size=127),
    network=st.ip_addresses().map(str) | st.sampled_from(["0.0.0.0/0", "::/0", "10.0.0.0/8", "2001:db8::/32"]),
    port=st.integers(1, 65535),
    protocol=st.sampled_from(["tcp", "udp"]),
)
def test_nft_takes_whatever_is_rendered(reason: str, network: str, port: int, protocol: str) -> None:
    try:
        text = of({"port": port, "protocol": protocol, "from": [network, "192.0.2.9"], "reason": reason})
    except ValueError:
        return
    tried = subprocess.run(
        ["unshare", "--net", "--map-root-user", NFT or "", "--check", "-f", "-"],
        input=text.encode(),
        capture_output=True,
        check=False,
    )
    if b"unshare" in tried.stderr:
        pytest.skip("no network namespaces here")
    assert tried.returncode == 0, tried.stderr.decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "#!/usr/sbin/nft -f\n" + INCLUDE),
        ("flush ruleset\n", "flush ruleset\n" + INCLUDE),
        ("flush ruleset", "flush ruleset\n" + INCLUDE),
        (INCLUDE + "flush ruleset\n", "flush ruleset\n" + INCLUDE),
        (f"  {INCLUDE.strip()};\n", "#!/usr/sbin/nft -f\n" + INCLUDE),
        ("# mine\n" + INCLUDE, "# mine\n" + INCLUDE),
        ("table ip x {\n}\n\n\n" + INCLUDE, "table ip x {\n}\n" + INCLUDE),
    ],
)
def test_our_file_is_the_last_that_the_main_one_includes(before: str, after: str) -> None:
    assert included(before) == after
    assert included(after) == after
    assert MAIN not in after
    assert at_boot(after, "ours\n") == after.replace(INCLUDE, "ours\n")


def test_what_is_put_back_is_what_was_listed() -> None:
    listing = "table inet taaraxtak {\n}\n"
    assert restore(listing).endswith(listing)
    assert restore("").splitlines() == restore(listing).splitlines()[:2]
