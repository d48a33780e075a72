# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sentences of docs/policy.md that rules of the audit stand for, in its order."""

from __future__ import annotations

PROMISES: dict[str, str] = {
    "local": "Nobody develops on production: developers work in a local environment.",
    "writers": "Only the collector, on the production host, writes to the database.",
    "readers": "Only grafanareader reads, and only Grafana uses it.",
    "deleters": "Only the database administrator deletes, by a written report before it and one after it.",
    "dashboards": "Production's dashboards are changed by a pull request, never in place.",
    "dumps": "Dumps leave the host by cron, are proved, and the provider backs up the whole disk.",
    "devops": "Only devops has direct access to the hosts.",
    "looked": "What could not be looked at is said, and never counts as kept.",
}
