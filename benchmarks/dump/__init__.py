# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make bench-dump`: streamed dumps over ssh, ours beside the seed's pipeline and the limit."""

import sys

from ..common import COLLECTIONS

sys.path.insert(0, str(COLLECTIONS))
