"""What the tests of this scenario ask for: its hosts, and logins from them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from estate import (
    collector,
    dashboards,
    dba,
    dumper,
    grafanareader,
    planted,
    play,
    postgres,
    scraper,
    server,
    store,
    until,
)

__all__ = [
    "collector",
    "dashboards",
    "dba",
    "dumper",
    "grafanareader",
    "planted",
    "play",
    "postgres",
    "scraper",
    "server",
    "store",
    "until",
]
