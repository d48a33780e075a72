"""Who would be shut out by what sshd says of itself."""

from __future__ import annotations

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.sshd.effective import (
    Person,
    Session,
    judged,
    not_done,
    read,
    shut_out,
)

ALICE = Person("alice", ("alice", "adm"))
SESSION = Session("198.51.100.7", "192.0.2.10", 22)
LISTENING = "listenaddress [::]:22\nlistenaddress 0.0.0.0:22\npubkeyauthentication yes\nforcecommand none\n"


def reasons(printed: str, session: Session | None = SESSION) -> list[str]:
    return [said.partition(": ")[2] for said in shut_out(read(LISTENING + printed), ALICE, session)]


@pytest.mark.parametrize(
    "printed",
    [
        "",
        "allowusers alice\n",
        "allowusers bob\nallowusers al*\n",
        "allowusers ?lice@198.51.100.*\n",
        "allowusers alice@198.51.100.0/24\n",
        "denyusers bob\n",
        "denyusers alice@192.0.2.*\n",
        "allowgroups adm\n",
        "allowgroups bob a*\n",
        "denygroups root\n",
        "authenticationmethods any\n",
        "authenticationmethods publickey\n",
        "authenticationmethods publickey,password publickey\n",
    ],
)
def test_whoever_sshd_would_let_in_is_no_finding(printed):
    assert reasons(printed) == []


@pytest.mark.parametrize(
    "printed",
    [
        "allowusers nobody",
        "allowusers Alice",
        "allowusers [a]lice",
        "allowusers alice@203.0.113.0/24",
        "allowusers alice@203.0.113.*",
        "denyusers al*",
        "denyusers alice@198.51.100.7",
        "allowgroups wheel",
        "allowgroups !adm",
        "denygroups adm",
        "authenticationmethods publickey,password",
        "forcecommand /bin/false",
    ],
)
def test_whoever_sshd_would_refuse_is_a_finding(printed):
    keyword = printed.split()[0]
    effective = {**read(LISTENING), **read(printed)}
    found = shut_out(effective, ALICE, SESSION)
    assert len(found) == 1
    assert found[0].startswith("alice could not log in any more: ")
    assert keyword in found[0]


def test_without_public_keys_nobody_comes_in():
    effective = {**read(LISTENING), "pubkeyauthentication": ["no"]}
    assert shut_out(effective, ALICE, None) == ["alice could not log in any more: pubkeyauthentication no"]


@pytest.mark.parametrize(
    ("listening", "heard"),
    [
        (["0.0.0.0:22"], True),
        (["192.0.2.10:22"], True),
        (["192.0.2.11:22"], False),
        (["0.0.0.0:2222"], False),
        (["[::]:22"], False),
        (["127.0.0.1:22", "[::1]:22"], False),
        (["0.0.0.0:2222", "0.0.0.0:22"], True),
    ],
)
def test_the_connection_could_be_made_again(listening, heard):
    found = shut_out({"listenaddress": listening}, ALICE, SESSION)
    assert (found == []) is heard, found


def test_over_ipv6_too():
    session = Session("2001:db8::7", "2001:db8::10", 22)
    assert shut_out({"listenaddress": ["[::]:22"]}, ALICE, session) == []
    assert shut_out({"listenaddress": ["[2001:db8::10]:22"]}, ALICE, session) == []
    assert shut_out({"listenaddress": ["0.0.0.0:22"]}, ALICE, session)


def test_who_has_not_come_by_ssh_is_judged_by_the_name_alone():
    assert reasons("allowusers alice@203.0.113.*\n", None) == []
    assert reasons("allowusers bob@203.0.113.*\n", None) == ["allowusers bob@203.0.113.*"]


def test_another_value_or_one_more_is_named():
    effective = read("permitrootlogin yes\nauthorizedkeysfile /a\nauthorizedkeysfile /b\nbanner none\n")
    assert not_done(effective, {"permitrootlogin": "no", "authorizedkeysfile": "/a", "x": "y", "banner": "none"}) == [
        "sshd does authorizedkeysfile /a /b instead of /a",
        "sshd does permitrootlogin yes instead of no",
        "sshd does x nothing instead of y",
    ]


REQUIRED = {"permitrootlogin": "no", "passwordauthentication": "no", "authorizedkeysfile": "/etc/ssh/devops_keys/%u"}
GOOD = {keyword: [value] for keyword, value in REQUIRED.items()}


@pytest.mark.parametrize(
    ("name", "opened"),
    [
        ("root", {"permitrootlogin": ["yes"]}),
        ("root", {"authorizedkeysfile": [".ssh/authorized_keys"]}),
        ("deploy", {"passwordauthentication": ["yes"]}),
        ("alice", {"authorizedkeysfile": ["/etc/ssh/dump_store_keys/%u"]}),
    ],
)
def test_what_a_match_block_opens_for_one_account_alone_is_found(name, opened):
    said = dict.fromkeys(("alice", "root", "deploy", "dumps"), GOOD) | {name: GOOD | opened}
    keyword, values = next(iter(opened.items()))
    assert judged(said, REQUIRED, ["alice"], {"authorizedkeysfile": ["/etc/ssh/dump_store_keys/%u"]}) == [
        f"sshd does {keyword} {values[0]} instead of {REQUIRED[keyword]} for {name}"
    ]


def test_accounts_for_machines_have_a_folder_of_keys_of_their_own():
    said = {"alice": GOOD, "dumps": GOOD | {"authorizedkeysfile": ["/etc/ssh/dump_store_keys/%u"]}}
    assert judged(said, REQUIRED, ["alice"], {"authorizedkeysfile": ["/etc/ssh/dump_store_keys/%u"]}) == []
    assert judged(said, REQUIRED, ["alice"], {})


def test_what_holds_for_everybody_is_said_once():
    said = {name: GOOD | {"permitrootlogin": ["yes"]} for name in ("alice", "root")}
    assert judged(said, REQUIRED, ["alice"], {}) == ["sshd does permitrootlogin yes instead of no"]
