# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault, in the order of the suite."""

from __future__ import annotations

from . import accounts, keys, parts, room, wire

FAULTS = (*parts.FAULTS, *wire.FAULTS, *room.FAULTS, *keys.FAULTS, *accounts.FAULTS)
QUICK = tuple(fault for fault in FAULTS if fault.quick)
