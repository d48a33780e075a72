"""What programs and files of a host say, as they say it; and what is none of theirs."""

from __future__ import annotations

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.hosts.parsing import (
    accounts,
    capabilities,
    cron,
    keys,
    packages,
    sockets,
    sudo,
    systemd,
)

ALICE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGvzOdvJ+iwGEvi8v8opNdRP7UsHrbEo2GAQoc44AANX"
LONG = 'from="a,b",command="x \\"y, z\\""'
PRINT = "SHA256:OJmdaHHS+0bX3YNIt4s13XJm2YJ9v5HRYwsaixklsT0"


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("", ("none", "")),
        ("*", ("locked", "")),
        ("!", ("locked", "")),
        ("!$y$j9T$salt$hash", ("locked", "")),
        ("$y$j9T$salt$hash", ("set", "yescrypt")),
        ("$6$salt$hash", ("set", "sha512")),
        ("$1$salt$hash", ("set", "md5")),
        ("$zz$salt$hash", ("set", "unknown")),
        ("aabbccddeeff.", ("set", "des")),
    ],
)
def test_of_a_password_its_state_and_kind_are_told(field, said):
    assert accounts.password(field) == said


def test_no_hash_is_among_what_is_told_of_an_account():
    passwd = "a:x:1000:1000:A:/home/a:/bin/bash\nb:$6$salt$inpasswd:1001:1001::/:/bin/sh\n\n# x\n"
    (a, b) = accounts.accounts(passwd, "a:$y$j9T$salt$secret:19000:0:99999:7::1:\n", 20_000)
    assert "secret" not in repr(a)
    assert (a["password"], a["hash"], a["login"], a["expired"]) == ("set", "yescrypt", True, True)
    # An older way: the hash stands in passwd, which anybody reads.
    assert (b["password"], b["expired"]) == ("set", False)
    assert "inpasswd" not in repr(b)


def test_an_account_ends_on_its_day_and_not_before():
    passwd = "a:x:1000:1000::/:/bin/bash\n"
    ends = [accounts.accounts(passwd, f"a:!:1::::: {day}:".replace(" ", "") + "\n", 20_000) for day in (20_000, 20_001)]
    assert [one[0]["expired"] for one in ends] == [True, False]


@pytest.mark.parametrize(
    "line",
    [
        "toor:x:0:0",
        "toor:x:0:0::/:/bin/sh:more",
        " toor:x:0:0::/:/bin/sh",
        "toor:x: 0:0::/:/bin/sh",
        "toor:x:4294967296:0::/:/bin/sh",
        "+toor:x:0:0::/:/bin/sh",
        ":x:0:0::/:/bin/sh",
        "toor:x:0:0::/:/bin/sh\0",
    ],
)
def test_a_line_that_others_may_read_otherwise_is_an_error(line):
    with pytest.raises(ValueError, match="passwd"):
        accounts.accounts(f"root:x:0:0:root:/root:/bin/bash\n{line}\n", "", 20_000)


def test_a_form_feed_hides_no_account():
    (one, other) = accounts.accounts("a:x:1:1:\x0c:/:/bin/sh\ntoor:x:0:0:\r:/:/bin/sh\n", "", 20_000)
    assert (one["name"], other["name"], other["uid"]) == ("a", "toor", 0)


def test_of_two_lines_in_shadow_the_first_counts():
    (one,) = accounts.accounts("a:x:1:1::/:/bin/sh\n", "a::1::::::\na:*:1::::::\n", 20_000)
    assert one["password"] == "none"


def test_who_has_a_group_as_their_own_or_by_its_number_is_in_it():
    group = "sudo:x:27:alice\nother:x:27:bob\nalone:x:30:\nempty:x:31:\n"
    found = accounts.groups(group, [{"name": "eve", "gid": 27}, {"name": "joe", "gid": 30}])
    assert found == {"sudo": ["alice", "bob", "eve"], "other": ["alice", "bob", "eve"], "alone": ["joe"]}
    with pytest.raises(ValueError, match="group"):
        accounts.groups("sudo:x:27\n", [])


def test_who_is_in_a_group_by_another_place_than_the_file_is_in_it():
    """As nsswitch.conf has it: by the group's number, or by its name."""
    elsewhere = [("far", 27, ["mallory"]), ("sudo", 4711, ["eve"])]
    found = accounts.groups("sudo:x:27:alice\n", [], elsewhere)
    assert found["sudo"] == ["alice", "eve", "mallory"]


SUDO_12 = r"""Matching Defaults entries for x on production:
    env_reset, secure_path=/usr/sbin\:/usr/bin

User x may run the following commands on production:

Sudoers entry:
    RunAsUsers: ALL
    RunAsGroups: ALL
    Options: !authenticate
    Commands:
	ALL
"""
SUDO_13 = """User x may run the following commands on production:

Sudoers entry: /etc/sudoers.d/x
    RunAsUsers: pgdumper, postgres
    Options: setenv, !authenticate
    Commands:
	/usr/local/sbin/dump-source ""
	sha224:abc /usr/bin/id

Sudoers entry: /etc/sudoers
    RunAsUsers: root
    Cwd: /tmp
    Commands:
	/bin/ls, /bin/cat
"""


@pytest.mark.parametrize(
    ("printed", "found"),
    [
        (SUDO_12, [("ALL", ["ALL"], ["ALL"], ["!authenticate"])]),
        (
            SUDO_13,
            [
                ('/usr/local/sbin/dump-source ""', ["pgdumper", "postgres"], [], ["!authenticate", "setenv"]),
                ("sha224:abc /usr/bin/id", ["pgdumper", "postgres"], [], ["!authenticate", "setenv"]),
                ("/bin/ls, /bin/cat", ["root"], [], ["Cwd=/tmp"]),
            ],
        ),
        ("User x is not allowed to run sudo on production.\n", []),
    ],
)
def test_sudo_s_long_form_is_read(printed, found):
    read = [(one["command"], one["users"], one["groups"], one["options"]) for one in sudo.rules(printed)]
    assert read == found


SUDO_DEFAULTS = r"""Matching Defaults entries for games on vm:
    env_reset, mail_badpass, secure_path=/usr/local/sbin\:/bin, use_pty, !use_pty, env_keep+="A B, C", x=a\,b

Runas and Command-specific defaults for games:
    Defaults>root env_keep+=LD_PRELOAD    Defaults!/usr/bin/id !authenticate

User games may run the following commands on vm:

Sudoers entry:
    RunAsUsers: root
    Commands:
	/usr/bin/id
"""


def test_what_sudo_does_for_an_account_is_read():
    """As sudo 1.9.13 of Debian 12 prints it."""
    assert sudo.defaults(SUDO_DEFAULTS) == [
        "env_reset", "mail_badpass", r"secure_path=/usr/local/sbin\:/bin", "use_pty", "!use_pty",
        'env_keep+="A B, C"', r"x=a\,b", "Defaults>root env_keep+=LD_PRELOAD", "Defaults!/usr/bin/id !authenticate",
    ]  # fmt: skip
    assert sudo.defaults(SUDO_13) == sudo.defaults("User x is not allowed to run sudo on vm.\n") == []


@pytest.mark.parametrize("printed", ["", "sudo: a password is required\n", "Sudoers entry:\n"])
def test_what_sudo_does_not_say_is_no_refusal(printed):
    with pytest.raises(ValueError, match="neither"):
        sudo.rules(printed)


@pytest.mark.parametrize(
    ("line", "options", "fingerprint", "comment"),
    [
        (ALICE, [], PRINT, ""),
        (f"{ALICE} alice@example.org of devops", [], PRINT, "alice@example.org of devops"),
        (f"restrict {ALICE}", ["restrict"], PRINT, ""),
        (f"restrict,{LONG} {ALICE}", ["restrict", *LONG.split(",c")[:1], 'command="x \\"y, z\\""'], PRINT, ""),
        ("this is no key", [], "", ""),
        ("ssh-ed25519 AAAA", [], "", ""),
        # The blob is one of another type than the word before it.
        (ALICE.replace("ssh-ed25519", "ssh-rsa"), [], "", ""),
        ('command="never closed ssh-ed25519 AAAA', [], "", ""),
    ],
)  # fmt: skip
def test_a_line_of_authorized_keys_is_read(line, options, fingerprint, comment):
    (read,) = keys.lines(f"# a comment\n\n{line}\n")
    assert (read["options"], read["fingerprint"], read["comment"]) == (options, fingerprint, comment)
    assert bool(read["problem"]) == (not fingerprint)
    assert read["line"] == 3


BLOB = ALICE.split()[1]


def test_of_what_is_no_key_nothing_is_told():
    (one,) = keys.lines("root:$6$salt$hash:19000:0:99999:7:::")
    assert "salt" not in repr(one)
    assert one["problem"] == keys.NO_KEY


@pytest.mark.parametrize("line", [f"ssh-ed25519 {BLOB[:9]}\x0c{BLOB[9:]}", f"# x\x0c\nssh-ed25519 {BLOB}"])
def test_a_key_that_sshd_takes_is_seen(line):
    assert [one["fingerprint"] for one in keys.lines(line)] == [PRINT]


def test_what_looks_like_a_key_is_not_taken_for_nothing():
    (one,) = keys.lines(f"ED25519 {BLOB}")
    assert one["problem"] not in ("", keys.NO_KEY)


def test_a_key_by_the_name_of_its_signatures_is_one():
    # A key of RSA as short as none is: only its type is looked at.
    blob = "AAAAB3NzaC1yc2EAAAADAQABAAAAAQE="
    assert keys.key(f"rsa-sha2-512 {blob}")["fingerprint"] == keys.key(f"ssh-rsa {blob}")["fingerprint"] != ""


def test_jobs_of_cron_are_read():
    table = "# no\nSHELL=/bin/sh\nMAILTO = x\n17 * * * * root cd / && run\n@reboot  bob  /x y\n\n"
    assert [(one["schedule"], one["account"], one["command"]) for one in cron.jobs(table)] == [
        ("17 * * * *", "root", "cd / && run"),
        ("@reboot", "bob", "/x y"),
    ]
    (own,) = cron.jobs("*/5 * * * * a b c\n", account="eve")
    assert (own["account"], own["command"]) == ("eve", "a b c")


@pytest.mark.parametrize(("name", "read"), [("backup", True), ("x.dpkg-old", False), ("x~", False), ("a_b-C9", True)])
def test_cron_reads_files_of_its_own_names_only(name, read):
    assert cron.read_by_cron(name) is read


HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


@pytest.mark.parametrize(
    ("row", "protocol", "found"),
    [
        ("0: 0100007F:1538 00000000:0000 0A 0:0 00:0 0 101 0 4711 1", "tcp", [("127.0.0.1", 5432, 101, "4711")]),
        ("0: 00000000:0016 00000000:0000 0A 0:0 00:0 0 0 0 1 1", "tcp", [("0.0.0.0", 22, 0, "1")]),  # noqa: S104
        ("0: 00000000000000000000000001000000:0016 0:0 0A 0:0 00:0 0 0 0 1 1", "tcp", [("::1", 22, 0, "1")]),
        ("0: 0100007F:1538 0100007F:9999 01 0:0 00:0 0 101 0 4711 1", "tcp", []),
        ("0: 0100007F:0143 00000000:0000 07 0:0 00:0 0 0 0 5 2", "udp", [("127.0.0.1", 323, 0, "5")]),
        # One that has a peer hears it all the same.
        ("1: 00000000:0001 0200007F:0000 01 0:0 00:0 0 0 0 6 2", "raw", [("0.0.0.0", 1, 0, "6")]),  # noqa: S104
    ],
)
def test_the_kernel_s_sockets_are_read(row, protocol, found):
    read = sockets.listening(f"{HEAD}   {row}\n", protocol)
    assert [(one["address"], one["port"], one["uid"], one["inode"]) for one in read] == found


def test_sockets_of_packets_and_of_sctp_are_read():
    head = "sk RefCnt Type Proto Iface R Rmem User Inode\n"
    (one, other) = sockets.packets(f"{head}0000 3 3 0003 2 1 0 0 4711\n0000 3 3 88cc 0 1 0 998 4712\n")
    assert (one["address"], one["port"], one["uid"], one["inode"]) == ("interface 2", 3, 0, "4711")
    assert (other["address"], other["port"]) == (sockets.EVERYWHERE, 0x88CC)
    head = " ENDPT     SOCK   STY SST HBKT LPORT   UID INODE LADDRS\n"
    (bound, any_) = sockets.associations(f"{head}00 00 2 10 29 9999 0 17 0.0.0.0\n00 00 2 10 29 9998 5 18 \n")
    assert (bound["address"], bound["port"], bound["uid"], bound["inode"]) == ("0.0.0.0", 9999, 0, "17")  # noqa: S104
    assert (any_["address"], any_["uid"]) == (sockets.EVERYWHERE, 5)


def test_what_dpkg_verifies_is_read():
    printed = (
        "??5?????? c /etc/nftables.conf\nmissing     /usr/share/doc/x\n"
        "??5??????   /usr/bin/a b\nmissing   c /etc/y (Permission denied)\n"
    )
    assert [(one["path"], one["configuration"], one["missing"]) for one in packages.changed(printed)] == [
        ("/etc/nftables.conf", True, False),
        ("/usr/share/doc/x", False, True),
        ("/usr/bin/a b", False, False),
        ("/etc/y", True, True),
    ]
    with pytest.raises(ValueError, match="not known"):
        packages.changed("dpkg: something else\n")


def test_security_updates_are_told_from_others():
    printed = (
        "Inst openssl [3.5.1-1] (3.5.1-1+deb13u1 Debian-Security:13/stable-security [amd64])\n"
        "Inst tzdata [1] (2 Debian:13.2/stable [all])\nConf openssl (3.5.1-1+deb13u1 Debian-Security:13 [amd64])\n"
    )
    assert packages.security(printed) == ["openssl"]


def test_versions_of_packages_are_read():
    printed = "a:\n  Installed: 17.5\n  Candidate: 17.6\n  Version table:\n *** 17.5 500\nb:\n  Installed: (none)\n"
    assert packages.policies(printed) == [
        {"name": "a", "installed": "17.5", "candidate": "17.6"},
        {"name": "b", "installed": "", "candidate": ""},
    ]


def test_a_diverted_file_is_still_a_package_s():
    printed = "local diversion from: /bin/z\ndiversion by x from: /bin/y\npasswd: /usr/bin/passwd\na, b:amd64: /etc\n"
    assert packages.owners(printed) == {"/usr/bin/passwd", "/etc"}


def test_properties_of_units_are_read():
    assert systemd.shown("Id=a\nX=1=2\n\nId=b\nX=\n") == [{"Id": "a", "X": "1=2"}, {"Id": "b", "X": ""}]
    assert systemd.listed("[]\n") == []
    with pytest.raises(ValueError, match="list"):
        systemd.listed("{}")


@pytest.mark.parametrize(
    ("attribute", "found"),
    [
        ("0100000200200000000000000000000000000000", ["cap_net_raw"]),
        ("0100000280000000000000000000000000000000", ["cap_setuid"]),
        # In the upper half, and inherited alone.
        ("0000000200000000000000000000000080000000", ["cap_bpf"]),
        ("0100000200000000000000000000000000000000", []),
    ],
)
def test_a_file_s_capabilities_are_read(attribute, found):
    assert capabilities.names(bytes.fromhex(attribute)) == found


def test_an_attribute_that_is_none_is_an_error():
    with pytest.raises(ValueError, match="capabilities"):
        capabilities.names(b"\x01")
