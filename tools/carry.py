"""`dump-carry` on a trusted host: read and keep plain stores, by the settings that playbooks/stores.yml writes."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "plugins" / "module_utils"))

from dumps.plain import command  # noqa: E402

if __name__ == "__main__":
    sys.exit(command.main(str(ROOT / "build" / "stores" / "dump-carry.json")))
