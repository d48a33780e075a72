"""Where a restore may go to, and the names that it uses."""

from __future__ import annotations

import re

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import DumpError
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore import target
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.target import (
    Extension,
    Permission,
    Target,
    beyond,
    check_extensions,
    check_name,
    check_server_host,
    check_settings,
    check_space,
    check_version,
    kept,
    previous,
    resolved,
    restoring,
    shifts,
)
from hypothesis import given
from hypothesis import strategies as st

ASKED = Permission(into_production=True, typed="db.example.org")


@pytest.mark.parametrize(
    "host", ["/var/run/postgresql", "/tmp/x", "127.0.0.1", "127.8.9.1", "::1"], ids=lambda host: host
)
def test_here_is_where_anybody_may_restore(host: str) -> None:
    assert resolved(Target(host=host), Permission()) == host


@pytest.mark.parametrize(
    "host",
    [
        "",
        "db.example.org",
        "10.0.0.1",
        "0.0.0.0",  # noqa: S104
        "::",
        "::ffff:127.0.0.1",
        "fe80::1",
        "128.0.0.1",
        "127.0.0.1,db.example.org",
        "127.0.0.1.example.org",
        "localhost.example.org",
        "2130706433",
        "127.1",
        "host=127.0.0.1",
        " 127.0.0.1",
        "@socket",
    ],
)
@pytest.mark.parametrize(
    "permission",
    [
        Permission(),
        Permission(into_production=True),
        Permission(typed="db.example.org"),
        Permission(into_production=True, typed="db.example.com"),
        Permission(into_production=True, typed="DB.example.org"),
    ],
    ids=str,
)
def test_another_machine_is_refused(host: str, permission: Permission) -> None:
    with pytest.raises(DumpError, match=r"neither a socket's folder nor a loopback address: .* type its name out$"):
        resolved(Target(host=host), permission)


def test_production_needs_both_the_flag_and_its_name() -> None:
    assert resolved(Target(host="db.example.org"), ASKED) == "db.example.org"


@pytest.mark.parametrize(
    ("addresses", "allowed"),
    [(["127.0.0.1"], True), (["::1", "127.0.0.1"], True), (["127.0.0.1", "10.0.0.1"], False), ([], False)],
)
def test_localhost_is_what_it_resolves_to(monkeypatch: pytest.MonkeyPatch, addresses: list[str], allowed: bool) -> None:
    found = [(2, 1, 6, "", (address, 5432)) for address in addresses]
    monkeypatch.setattr(target.socket, "getaddrinfo", lambda *given, **options: found)
    if allowed:
        assert resolved(Target(host="localhost"), Permission()) in addresses
    else:
        with pytest.raises(DumpError, match="neither a socket's folder"):
            resolved(Target(host="localhost"), Permission())


@pytest.mark.parametrize(
    ("name", "production", "refused"),
    [
        ("laptop", ("db.example.org",), False),
        ("", ("db.example.org",), False),
        ("db", ("db.example.org",), True),
        ("DB.example.org", ("db.example.org",), True),
        ("db.example.org", ("db",), True),
        ("10", ("10.0.0.1",), False),
        ("db", (), False),
    ],
)
def test_a_server_on_a_production_host_is_production(name: str, production: tuple[str, ...], refused: bool) -> None:
    if not refused:
        check_server_host(name, Permission(production=production))
        return
    with pytest.raises(DumpError, match=f"runs on the production host {production[0]}: to restore into it, say"):
        check_server_host(name, Permission(production=production))
    with pytest.raises(DumpError):
        check_server_host(name, Permission(True, "other", production))
    check_server_host(name, Permission(True, production[0], production))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "has no name: name it"),
        ("postgres", "PostgreSQL's own"),
        ("template0", "PostgreSQL's own"),
        ("template1", "PostgreSQL's own"),
        ("pg_x", "PostgreSQL's own"),
        ("live__restoring", "a name that a restore itself uses"),
        ("live__previous", "a name that a restore itself uses"),
        ("live__previous_12", "a name that a restore itself uses"),
        ("a\nb", "can't be printed"),
        ("a\0b", "can't be printed"),
        ("x" * 53, "needs 65 bytes, and PostgreSQL has 63"),
        ("é" * 27, "needs 66 bytes"),
        ("x" * 63, "too long"),
    ],
)
def test_such_a_name_is_refused(name: str, said: str) -> None:
    with pytest.raises(DumpError, match=said):
        check_name(name)


@pytest.mark.parametrize("name", ["live", "x" * 51, "'; DROP DATABASE live; --", 'quo"ted', "UPPER", "a b", "é" * 20])
def test_such_a_name_is_not(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("keep", [-1, 100])
def test_only_so_many_are_kept(keep: int) -> None:
    with pytest.raises(DumpError, match="keep_previous must be 0 to 99"):
        check_name("live", keep)


@given(st.text(min_size=1, max_size=70), st.integers(0, 99))
def test_each_name_that_a_restore_uses_fits(name: str, keep: int) -> None:
    try:
        check_name(name, keep)
    except DumpError:
        return
    for used in (restoring(name), *(previous(name, number) for number in range(1, keep + 2))):
        assert len(used.encode()) <= 63


def test_the_previous_ones_are_found_by_their_whole_name() -> None:
    names = ["live", "live__previous", "live__previous_2", "live__previous_10", "live__previous_1", "live__previous_02"]
    names += ["alive__previous", "live__previous_x", "live__previous_2\n", "live__restoring"]
    assert kept("live", names) == {1: "live__previous", 2: "live__previous_2", 10: "live__previous_10"}


@given(st.sets(st.integers(1, 12)))
def test_room_is_made_without_a_clash_and_in_order(numbers: set[int]) -> None:
    names = {previous("live", number): number for number in numbers}
    for old, new in shifts("live", names):
        assert new not in names, "a name is taken"
        names[new] = names.pop(old)
    assert "live__previous" not in names
    assert set(names.values()) == numbers, "one is lost"
    assert [names[name] for name in kept("live", names).values()] == sorted(numbers), "the order is another"


@pytest.mark.parametrize(("server", "dump"), [(15, "15.8"), (17, "15.8"), (15, ""), (15, "unknown")])
def test_a_server_that_is_as_new_takes_the_dump(server: int, dump: str) -> None:
    check_version(server, dump)


def test_an_older_server_is_refused() -> None:
    with pytest.raises(DumpError, match="comes from PostgreSQL 17, and this server is PostgreSQL 15: restore it into"):
        check_version(15, "17.2 (Debian 17.2-1)")


AVAILABLE = {
    "plpgsql": Extension("1.0", frozenset({"1.0"}), True),
    "pg_trgm": Extension("1.6", frozenset({"1.5", "1.6"}), True),
    "odd": Extension("next", frozenset({"next", "2.0-beta"}), True),
    "file_fdw": Extension("1.0", frozenset({"1.0"}), False),
}


@pytest.mark.parametrize(
    "wanted", [{}, {"plpgsql": "1.0", "pg_trgm": "1.6"}, {"pg_trgm": "1.3"}, {"odd": "next"}, {"odd": "2.0-beta"}]
)
def test_extensions_that_the_server_has_are_enough(wanted: dict[str, str]) -> None:
    check_extensions(wanted, AVAILABLE)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"postgis": "3.3", "plpgsql": "1.0"}, "needs the extension postgis, which the server does not have: install"),
        ({"a": "1", "b": "1"}, "needs the extensions a, b, which"),
        ({"pg_trgm": "1.10"}, r"needs the extension pg_trgm 1.10 \(here 1.6\): install a newer version"),
        ({"odd": "3"}, r"odd 3 \(here next\)"),
        ({"file_fdw": "1.0"}, "file_fdw, which only a superuser may create: restore it in a sandbox"),
    ],
)
def test_others_are_named(wanted: dict[str, str], said: str) -> None:
    with pytest.raises(DumpError, match=said):
        check_extensions(wanted, AVAILABLE)


def test_a_superuser_may_create_each_extension() -> None:
    check_extensions({"file_fdw": "1.0"}, AVAILABLE, superuser=True)


def test_too_little_space_is_said_in_numbers() -> None:
    check_space(1500, 1500, "/data")
    said = "the restore needs 1.5 GB beside the database that is there, and /data has 999 MB free: make room"
    with pytest.raises(DumpError, match=re.escape(said)):
        check_space(999_000_000, 1_500_000_000, "/data")


@pytest.mark.parametrize(
    ("settings", "server", "said"),
    [
        ({"provider": "b", "locale": "C.UTF-8"}, 15, "PostgreSQL itself, which needs PostgreSQL 17 or newer"),
        ({"provider": "i"}, 14, "from ICU, which needs PostgreSQL 15"),
        ({"provider": "x"}, 18, "the locale provider 'x', which is not known here"),
    ],
)
def test_a_locale_that_the_server_can_not_have_is_refused(settings: dict[str, str], server: int, said: str) -> None:
    with pytest.raises(DumpError, match=said):
        check_settings(settings, server)


@pytest.mark.parametrize("settings", [{}, {"provider": "c"}, {"provider": "i"}, {"provider": "b"}])
def test_a_locale_that_it_can_have_is_not(settings: dict[str, str]) -> None:
    check_settings(settings, 17)


@pytest.mark.parametrize(
    ("existing", "keep", "gone"),
    [
        ([], 1, {}),
        (["x"], 1, {}),
        (["x"], 0, {"x": ""}),
        (["x", "x__previous"], 1, {"x__previous": "x"}),
        (["x", "x__previous"], 2, {}),
        (["x", "x__previous_2"], 1, {"x__previous_2": "x"}),
        (["x", "x__previous", "x__previous_3"], 2, {"x__previous_3": "x__previous"}),
        (["x", "x__previous", "x__previous_2"], 1, {"x__previous": "x", "x__previous_2": "x__previous"}),
        (["x__previous", "x__previous_2"], 1, {"x__previous_2": "x__previous"}),
        (["x__previous"], 0, {"x__previous": ""}),
    ],
)
def test_what_is_dropped_is_told_with_what_has_replaced_it(
    existing: list[str], keep: int, gone: dict[str, str]
) -> None:
    assert beyond("x", [*existing, "y", "y__previous_9"], keep) == gone


def test_a_host_that_makes_dumps_is_production_until_its_name_or_address_is_typed() -> None:
    for short in (Permission(), Permission(True, ""), Permission(True, "other"), Permission(typed="db")):
        with pytest.raises(DumpError, match="runs on the production host db"):
            check_server_host("db", short, marked=True)
    with pytest.raises(DumpError, match="runs on the production host"):
        check_server_host("", Permission(), marked=True)
    check_server_host("db", Permission(True, "db"), marked=True)
    check_server_host("db", Permission(True, "10.0.0.5"), marked=True, address="10.0.0.5")
    assert target.remote(Target("10.0.0.5")) == "10.0.0.5"
    assert [target.remote(Target(host)) for host in ("/run", "localhost", "127.0.0.1", "::1")] == [""] * 4
