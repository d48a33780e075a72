"""Everything that is broken by hand, in the order in which it is: the data first, while dumps can still be made."""

from __future__ import annotations

import typing as t

from planted_data import DATA
from planted_hosts import HOSTS

PLANTED: t.Final = (*DATA, *HOSTS)
