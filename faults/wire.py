# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of what lies between the hosts: packets, bytes, signatures, clocks."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import typing as t

from .hosts import RECEIVER, SEND, SOURCE, STORE, TOOLS, Estate, until
from .running import WHOLE, Fault, Seen
from .scripts import LEFT_ON_PRODUCTION, PROCESSES

# Dropped, not refused: neither side hears anything any more.
DROP = """
table inet faultbed {
  chain output { type filter hook output priority 0; tcp dport 22 drop; }
  chain input { type filter hook input priority 0; tcp sport 22 drop; }
}
"""
RECEIVERS = PROCESSES + f"print(json.dumps([row[0] for row in processes() if re.match({RECEIVER!r}, row[3])]))"


@contextlib.contextmanager
def silence(estate: Estate) -> t.Iterator[None]:
    """Drop every packet of ssh between the hosts, in production's own network."""
    estate.production.network("nft", DROP)
    try:
        yield
    finally:
        estate.production.network("nft", "delete table inet faultbed")


def dropped_packets(estate: Estate) -> Seen:
    """Both sides must give up by themselves, while nothing comes through."""
    short = {"idle_timeout": 4}
    problems = []
    with estate.send_settings(**short), estate.settings(estate.store, STORE, **short):
        with estate.held() as sender:
            cut = contextlib.ExitStack()
            cut.enter_context(silence(estate))
        with cut:
            run = estate.ended(sender)
            problems += [
                f"left on production while cut off: {row}" for row in estate.production.ask(LEFT_ON_PRODUCTION, 10)
            ]
            until(lambda: not estate.store.ask(RECEIVERS), "the receiver to give up while cut off")
    return Seen(run.status, run.said, problems)


def unreachable_store(estate: Estate) -> Seen:
    """No packet from the beginning: ssh's own time limit ends it."""

    def impatient(words: list[str]) -> list[str]:
        return ["-oConnectTimeout=3" if word.startswith("-oConnectTimeout") else word for word in words]

    with estate.send_settings(command=impatient), silence(estate):
        return Seen.of(estate.send())


def stalled_store(estate: Estate) -> Seen:
    """The connection lives and nothing moves; the receiver is stopped until the sender has given up."""
    with estate.send_settings(idle_timeout=3), estate.held() as sender:
        run = estate.ended(sender)
    return Seen.of(run)


def too_long(estate: Estate) -> Seen:
    with estate.send_settings(overall_timeout=5), estate.held() as sender:
        run = estate.ended(sender)
    return Seen.of(run)


def flipped(side: str, at: int, fault: str = "flip") -> t.Callable[[Estate], Seen]:
    """A bit that differs, or the end, *at* so many bytes: behind the source, or before the store."""

    def inject(estate: Estate) -> Seen:
        wire = [f"{TOOLS}/wire", side, fault, str(at)]
        if side == "store":
            with estate.send_settings(wire=wire):
                return Seen.of(estate.send())
        command = json.loads(estate.production.read(SEND))["source_command"]
        with estate.send_settings(source_command=[*wire, *command]):
            return Seen.of(estate.send())

    return inject


def forged(how: str) -> t.Callable[[Estate], Seen]:
    """A stream whose trailer or signature was changed by somebody who has the writer's key."""

    def inject(estate: Estate) -> Seen:
        key = f"{TOOLS}/other-key"
        estate.production.check("rm", "-f", key, f"{key}.pub")
        estate.production.check("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        estate.production.check("chown", "pgbackup", key)
        with estate.send_settings(wire=[f"{TOOLS}/forge", how]):
            return Seen.of(estate.send())

    return inject


def shifted_clock(seconds: int) -> t.Callable[[Estate], Seen]:
    """The source's clock alone is wrong: the containers share the machine's, so its program is given another now()."""

    def inject(estate: Estate) -> Seen:
        wrong = (
            "import datetime\n"
            "class Shifted(datetime.datetime):\n"
            "    @classmethod\n"
            "    def now(cls, tz=None):\n"
            f"        return datetime.datetime.now(tz) + datetime.timedelta(seconds={seconds})\n"
            "import types, dumps.source\n"
            "for module in [m for n, m in sys.modules.items() if n.startswith('dumps.')]:\n"
            "    if isinstance(getattr(module, 'dt', None), types.ModuleType):\n"
            "        module.dt = types.SimpleNamespace(**{**vars(datetime), 'datetime': Shifted})\n"
            "sys.exit(main())"
        )
        path = "/usr/local/sbin/dump-source"
        with estate.text(estate.production, path, lambda text: text.replace("sys.exit(main())", wrong)):
            return Seen.of(estate.send())

    return inject


def same_second(estate: Estate) -> Seen:
    """A clock that jumped back by as much as brings an older dump's very name: nothing is overwritten."""
    run = estate.send()
    if run.status:
        raise RuntimeError(run.said)
    newest = max(name.rsplit("/", 1)[1] for name in estate.files().proofs if ".globals." not in name)
    stamp = newest.split("_", 1)[1].split(".sql")[0]
    then = dt.datetime.strptime(stamp, "%Y-%m-%d-%H.%M.%S").replace(tzinfo=dt.UTC)
    fixed = (
        "import datetime, types, dumps.source\n"
        "class Fixed(datetime.datetime):\n"
        "    @classmethod\n"
        "    def now(cls, tz=None):\n"
        f"        return datetime.datetime.fromtimestamp({int(then.timestamp())}, tz)\n"
        "for module in [m for n, m in sys.modules.items() if n.startswith('dumps.')]:\n"
        "    if isinstance(getattr(module, 'dt', None), types.ModuleType):\n"
        "        module.dt = types.SimpleNamespace(**{**vars(datetime), 'datetime': Fixed})\n"
        "sys.exit(main())"
    )
    path = "/usr/local/sbin/dump-source"
    with estate.text(estate.production, path, lambda text: text.replace("sys.exit(main())", fixed)):
        second = estate.send()
    # The first is the whole dump that the verdict asks for.
    return Seen.of(second)


def server_gone(estate: Estate) -> Seen:
    """The source finds no PostgreSQL at its port."""
    with estate.settings(estate.production, SOURCE, port=5999):
        return Seen.of(estate.send())


def lost_answer(estate: Estate) -> Seen:
    """The store's answer is lost: the sender asks for the dump, and only so knows."""
    with estate.send_settings(wire=[f"{TOOLS}/wire", "store", "swallow-answer", "0"]):
        return Seen.of(estate.send())


def one_store_of_two(estate: Estate) -> Seen:
    """The first of two stores can't be reached: the second gets its dumps, and the failure isn't silent."""
    (store,) = json.loads(estate.production.read(SEND))["stores"]
    closed = ["-p9" if word.startswith("-p") else word for word in store["command"]]
    with estate.send_settings(stores=[{"name": "gone", "command": closed}, store]):
        return Seen.of(estate.send())


FAULTS = (
    Fault("the store's answer lost", lost_answer, "sql.zst is stored", WHOLE, fails=False),
    Fault("one of two stores unreachable", one_store_of_two, "stored at gone", WHOLE),
    Fault("packets dropped in the middle of a dump", dropped_packets, "nothing moved for 4 s"),
    Fault("packets dropped from the beginning", unreachable_store, "timed out"),
    Fault("the store stalls", stalled_store, "nothing moved for 3 s"),
    Fault("the whole takes too long", too_long, "the whole took longer than 5 s"),
    Fault("PostgreSQL isn't there", server_gone, "could not connect"),
    Fault(
        "byte flipped between source and sender",
        flipped("source", 5_000_000),
        "what arrived from the source",
    ),
    Fault("byte flipped between sender and store", flipped("store", 5_000_000), r"what arrived \(", quick=True),
    Fault("byte flipped in a frame's length", flipped("store", 2), "the stream is wrong|broke"),
    Fault("stream cut between source and sender", flipped("source", 5_000_000, "cut"), "the source ended|broke"),
    Fault("stream cut between sender and store", flipped("store", 5_000_000, "cut"), "ended before its|broke"),
    Fault("trailer forged: versions", forged("trailer"), "signature is wrong", quick=True),
    Fault("trailer forged: rows", forged("rows"), "signature is wrong"),
    Fault("signature missing", forged("unsigned"), "not signed"),
    Fault("signature by another key", forged("other-key"), "a key that is not known", quick=True),
    Fault("clock of the source one hour back (simulated)", shifted_clock(-3600), "but it is 20"),
    Fault("clock of the source one hour ahead (simulated)", shifted_clock(3600), "but it is 20"),
    Fault("clock back into the second of an earlier dump (simulated)", same_second, "here already", WHOLE),
)
