# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the roles of an access policy: attributes, members, how they log in, and their settings."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from .model import PREDEFINED, PUBLIC, HostLogin, Member, Role
from .patterns import PolicyFields, covered

FLAGS = ("superuser", "createdb", "createrole", "replication", "bypassrls")
ROLE_KEYS = (
    "login",
    "os_users",
    "hosts",
    "password",
    "inherit",
    "connection_limit",
    *FLAGS,
    "settings",
    "database_settings",
    "member_of",
)
MEMBER_KEYS = ("role", "inherit", "set", "admin")
HOST_KEYS = ("address", "method")
METHODS = ("cert", "scram-sha-256")
# rolconnlimit is an integer of four bytes.
MOST_CONNECTIONS = 2**31 - 1
KEEP = "keep"
PASSWORDS = ("none", KEEP)


def read_roles(read: PolicyFields, value: object) -> None:
    """Fill ``read.roles``, and note what is wrong with them and between them."""
    written = read.mapping("roles", value)
    if isinstance(value, t.Mapping) and not value:
        read.say("roles", "no role is defined, and an empty policy is refused: write the roles")
    for name, attributes in written.items():
        read.roles[name] = _role(read, name, {} if attributes is None else attributes)
    users: dict[str, str] = {}
    for role in read.roles.values():
        where = f"roles.{role.name}"
        if role.name in read.ignore_roles:
            read.say(where, f"{role.name} is left to others by ignore.roles: leave one of both out")
        for member_of in role.member_of:
            # Another tool's role may have members here: they are a matter of the member.
            also = (member_of,) if covered(read.ignore_roles, member_of) else ()
            read.defined(f"{where}.member_of", member_of, also=also)
        for user in role.os_users:
            if users.setdefault(user, role.name) != role.name:
                read.say(f"{where}.os_users", f"{user} is already {users[user]}: one role for each OS user")
        if role.name in _above(read.roles, role.name):
            read.say(f"{where}.member_of", "the role is a member of itself: break the circle")


def _above(roles: t.Mapping[str, Role], name: str) -> set[str]:
    """The roles that the role *name* is a member of, directly or not."""
    above: set[str] = set()
    new = list(roles[name].member_of)
    while new:
        role = new.pop()
        if role not in above:
            above.add(role)
            new += roles[role].member_of if role in roles else ()
    return above


def _role(read: PolicyFields, name: str, value: object) -> Role:
    where = f"roles.{name}"
    read.name(where, name)
    if name in (PUBLIC, "none") or name.startswith(PREDEFINED):
        read.say(where, "PostgreSQL reserves this name: write another")
    written = read.mapping(where, value, known=ROLE_KEYS)
    users = read.none_or_names(f"{where}.os_users", written.get("os_users", []))
    for user in users:
        if user.startswith("/") or re.search(r"\s", user):
            read.say(f"{where}.os_users", f"{user!r} is no OS user's name: write one")
    hosts = _hosts(read, f"{where}.hosts", written.get("hosts", []))
    login = read.flag(f"{where}.login", written.get("login", bool(users or hosts)))
    for key, given in (("os_users", users), ("hosts", hosts)):
        if given and written.get("login") is False:
            what = "OS users" if key == "os_users" else "other hosts"
            read.say(f"{where}.{key}", f"{what} can't log in as a role with login: false: leave one of both out")
    limit = written.get("connection_limit", -1)
    if not isinstance(limit, int) or isinstance(limit, bool) or not -1 <= limit <= MOST_CONNECTIONS:
        read.say(f"{where}.connection_limit", f"write a number from 0 to {MOST_CONNECTIONS}, or -1 for no limit")
        limit = -1
    keep = login and not users
    if "password" in written:
        # What stands there may be a password: it is never repeated.
        if written["password"] not in PASSWORDS:
            read.say(f"{where}.password", "write none or keep: a password itself never stands in the policy")
        keep = written["password"] == KEEP
    if not keep and any(host.method == "scram-sha-256" for host in hosts):
        read.say(f"{where}.hosts", "scram-sha-256 needs a password, and this role has none: write password: keep")
    by_database = read.mapping(f"{where}.database_settings", written.get("database_settings", {}))
    for database in by_database:
        read.database(f"{where}.database_settings", database)
    return Role(
        name=name,
        login=login,
        os_users=users,
        inherit=read.flag(f"{where}.inherit", written.get("inherit", True)),
        connection_limit=limit,
        settings=read.settings(f"{where}.settings", written.get("settings", {})),
        database_settings={
            database: read.settings(f"{where}.database_settings.{database}", content)
            for database, content in by_database.items()
        },
        memberships=_memberships(read, f"{where}.member_of", written.get("member_of", [])),
        hosts=hosts,
        keep_password=keep,
        **{flag: read.flag(f"{where}.{flag}", written.get(flag, False)) for flag in FLAGS},
    )


def _memberships(read: PolicyFields, where: str, value: object) -> tuple[Member, ...]:
    members: dict[str, Member] = {}
    for key, item in [] if value == [] else read.one_or_list(where, value):
        plain = not isinstance(item, t.Mapping)
        written = {"role": item} if plain else read.mapping(key, item, known=MEMBER_KEYS, required=("role",))
        role = read.name(key if plain else f"{key}.role", written["role"]) if "role" in written else None
        options = {
            option: read.flag(f"{key}.{option}", written[option]) for option in MEMBER_KEYS[1:] if option in written
        }
        if role == PUBLIC:
            read.say(key, "everybody has no members: grant to public instead")
        elif role in members:
            read.say(key, f"{role} is there twice: leave one out")
        elif role is not None:
            members[role] = Member(role, **options)
    return tuple(members.values())


def _hosts(read: PolicyFields, where: str, value: object) -> tuple[HostLogin, ...]:
    hosts: dict[str, HostLogin] = {}
    for key, item in [] if value == [] else read.one_or_list(where, value):
        plain = not isinstance(item, t.Mapping)
        written = {"address": item} if plain else read.mapping(key, item, known=HOST_KEYS, required=("address",))
        method = read.choice(f"{key}.method", written.get("method", METHODS[0]), METHODS)
        if "address" not in written:
            continue
        address = _network(read, key if plain else f"{key}.address", written["address"])
        if address in hosts:
            read.say(key, f"{address} is there twice: leave one out")
        elif address is not None:
            hosts[address] = HostLogin(address, method)
    return tuple(hosts.values())


def _network(read: PolicyFields, where: str, value: object) -> str | None:
    """*value* in CIDR, as the ipaddress module writes it."""
    text = value if isinstance(value, str) else ""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        network = None
    if network is None or "%" in text:
        read.say(where, f"write addresses as 192.0.2.0/24 or 2001:db8::/64, not {value!r}")
        return None
    # pg_hba.conf takes no address without a mask, and one with more bits than its mask is a typing error.
    address, slash, bits = text.partition("/")
    if not slash or not bits.isdecimal() or ipaddress.ip_address(address) != network.network_address:
        read.say(where, f"write {network}, not {value!r}")
        return None
    return str(network)
