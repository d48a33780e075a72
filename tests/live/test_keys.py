"""Whose keys open which account, and what a key that is no person's may do."""

from __future__ import annotations

DEVOPS, STORE = "/etc/ssh/devops_keys", "/etc/ssh/dump_store_keys"


def listed(host, folder: str) -> list[str]:
    """The names of everything in a folder."""
    said = host.said("find", folder, "-mindepth", "1", "-maxdepth", "9", "-printf", r"%p\n")
    return sorted(path.removeprefix(f"{folder}/") for path in said.splitlines())


def lines(host, path: str) -> list[str]:
    """The lines of a file of keys that count."""
    return [line for line in host.said("cat", path).splitlines() if line.strip() and not line.startswith("#")]


def bare(line: str) -> tuple[str, str]:
    """A key's kind and itself, without what is before and behind it."""
    words = line.split()
    place = next(number for number, word in enumerate(words) if word.startswith(("ssh-", "ecdsa-", "sk-")))
    return words[place], words[place + 1]


def effective(host, account: str) -> dict[str, str]:
    """sshd's settings for an account."""
    said = host.said("sshd", "-T", "-C", f"user={account},host=localhost,addr=127.0.0.1")
    return dict(line.split(" ", 1) for line in said.splitlines() if " " in line)


def test_devops_keys_are_those_of_the_inventory(host):
    keys = {one["name"]: one["keys"] for one in host.variables["host_devops"]}
    assert listed(host, DEVOPS) == sorted(keys)
    for name, own in keys.items():
        # Without an option before it, and without another key.
        found = lines(host, f"{DEVOPS}/{name}")
        assert [tuple(line.split()[:2]) for line in found] == [tuple(key.split()[:2]) for key in own], name
        assert effective(host, name)["authorizedkeysfile"] == f"{DEVOPS}/%u"


def test_no_key_lies_in_a_home(host):
    """Nor in that of an account of a program, which may be anywhere."""
    assert host.said("find", "/root", "/home", "-xdev", "-name", "authorized_keys*", "-printf", r"%p\n") == ""
    homes = {line.split(":")[5] for line in host.said("getent", "passwd").splitlines()}
    assert "/root" in homes
    keys = [path for home in sorted(homes) if home for path in host.inside(f"{home.rstrip('/')}/.ssh")]
    assert [path for path in keys if path.rpartition("/")[2].startswith("authorized_keys")] == []


def test_nobody_but_root_can_add_a_key(host):
    folders = [DEVOPS, *([STORE] if "store_hosts" in host.groups else [])]
    for folder in folders:
        for path in (folder, *(f"{folder}/{name}" for name in listed(host, folder))):
            owner, _group, mode = host.mode(path)
            assert (owner, mode & 0o022) == ("root", 0), path


def test_the_hosts_own_keys_are_roots_alone(host):
    own = [name for name in listed(host, "/etc/ssh") if name.startswith("ssh_host_") and name.endswith("_key")]
    assert own
    for name in own:
        owner, _group, mode = host.mode(f"/etc/ssh/{name}")
        assert (owner, mode & 0o077) == ("root", 0), name


def test_who_brings_dumps_can_do_nothing_else(store):
    user = store.variables.get("dump_store_user", "dumps")
    settings = effective(store, user)
    assert settings["authorizedkeysfile"] == f"{STORE}/%u"
    assert settings["forcecommand"] == "/usr/local/bin/dump-store ssh"
    assert (settings["permittty"], settings["disableforwarding"]) == ("no", "yes")
    writers = lines(store, f"{STORE}/{user}")
    assert writers
    for line in writers:
        assert line.startswith('restrict,from="'), line
        assert ',command="/usr/local/bin/dump-store ssh" ssh-' in line, line


def test_who_reads_dumps_is_in_the_inventory(store):
    user = store.variables.get("dump_store_user", "dumps")
    readers = store.variables.get("dump_store_readers", [])
    for account, verb, developer in ((f"{user}-read", "read", False), (f"{user}-developer", "read --developer", True)):
        wanted = [one for one in readers if bool(one.get("developer")) is developer]
        found = lines(store, f"{STORE}/{account}") if account in listed(store, STORE) else []
        assert sorted(map(bare, found)) == sorted(bare(one["key"]) for one in wanted), account
        assert all(line.startswith("restrict,from=") for line in found), account
        assert all(f',command="/usr/local/bin/dump-store {verb}" ' in line for line in found), account
        assert effective(store, account)["forcecommand"] == f"/usr/local/bin/dump-store {verb}"
