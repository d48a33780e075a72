"""Make ansible_collections.taaraxtak.production importable from the checkout itself, never from an installed copy."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COLLECTIONS = ROOT / ".ansible" / "collections"

sys.path.insert(0, str(COLLECTIONS))
