# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as one page of HTML that is complete in itself: nothing is loaded, nothing runs."""

from __future__ import annotations

import re
import typing as t

from ..model import Document
from ..text import markup
from .chart import histories
from .findings import accepted, findings
from .map import topology
from .matrix import matrices
from .parts import badge, plural, section
from .style import style

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_VERDICTS = {0: ("✓", "Clean"), 2: ("!", "Not as the policy says"), 3: ("?", "Not everything could be looked at")}
_PARTS = (
    ("policy", "The policy"),
    ("findings", "Findings"),
    ("access", "Who can do what"),
    ("dumps", "Dumps"),
    ("topology", "Topology"),
    ("since", "Since the last run"),
    ("sources", "Sources"),
    ("rules", "Rules"),
)
# So many new and gone findings are told.
MOST = 200
_RESULTS = {"kept": "ok", "found": "bad", "unreadable": "bad"}


def page(document: Document) -> str:
    """The whole page."""
    hosts = ", ".join(one["name"] for one in document["hosts"]) or "no host"
    title = f"Audit of {markup(hosts)}"
    main = "".join(
        (
            _promises(document),
            findings(document["findings"], document["run"]["since"]["new"]),
            accepted(document["accepted"]),
            matrices(document["access"]),
            histories(document["dumps"]),
            topology(document["hosts"], document["links"]),
            _since(document["run"]["since"], {one["id"]: one for one in document["findings"]}),
            _sources(document),
            _rules(document),
        )
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{title}, {markup(document['run']['at'][:10])}</title><style>{style()}</style></head>"
        f'<body><a class="skip" href="#policy">To the content</a>'
        f"{_header(document, title)}<main>{_linked(main)}</main></body></html>\n"
    )


def _linked(html: str) -> str:
    """The same where a link to what is not on the page, since there was too much, is its text alone."""
    there = set(re.findall(r' id="([^"]+)"', html))
    return re.sub(r'<a href="#([^"]+)">(.*?)</a>', lambda found: found[0 if found[1] in there else 2], html)


def _header(document: Document, title: str) -> str:
    summary = document["summary"]
    sign, verdict = _VERDICTS[document["status"]]
    if document["status"] == 0 and document["findings"]:
        verdict = f"Nothing is {markup(document['fail_on'])} or worse"
    tiles = "".join(
        f"<li{'' if number else ' class=none'}><b>{number:,}</b>{markup(word)}</li>"
        for word, number in {**summary["findings"], "accepted": summary["accepted"]}.items()
    )
    parts = "".join(f'<li><a href="#{id_}">{name}</a></li>' for id_, name in _PARTS)
    return (
        f'<header><p class="meta">taaraxtak.production · {_time(document["run"]["at"])}</p>'
        f"<h1>{title}</h1>"
        f'<p class="verdict s{document["status"]}"><span class="sign" aria-hidden="true">{sign}</span>'
        f"<span>{verdict}. {_sentence(document)}</span></p>"
        f'<ul class="tiles">{tiles}</ul><nav aria-label="Parts of the page"><ul>{parts}</ul></nav></header>'
    )


def _time(at: str) -> str:
    """A time of the report, as people read it."""
    return f'<time datetime="{markup(at)}">{markup(at[:16].replace("T", " "))} UTC</time>'


def _sentence(document: Document) -> str:
    counts, sources = document["summary"]["findings"], document["summary"]["sources"]
    found = plural(sum(counts.values()), "finding")
    unread = f", and {plural(sources['unreadable'], 'source')} could not be read" if sources["unreadable"] else ""
    return f"{found} from {plural(sources['read'], 'source')}{unread}."


def _promises(document: Document) -> str:
    items = "".join(
        f"<li><span>{_kept(one)}</span><span>{markup(one['sentence'])}</span></li>" for one in document["promises"]
    )
    about = "The policy, sentence by sentence, and whether what was found is as it says."
    return section("policy", "The policy", f'<ul class="rows">{items}</ul>', about)


def _kept(one: Document) -> str:
    if one["findings"]:
        return f'<span class="bad">! {plural(one["findings"], "finding")}</span>'
    if one["unread"]:
        return '<span class="bad">? not wholly seen</span>'
    if not one["asked"]:
        return '<span class="muted">not asked</span>'
    but = f" but for {one['accepted']} accepted" if one["accepted"] else ""
    left = one["rules"] - one["asked"]
    unasked = f", {left} not asked" if left else ""
    return f'<span class="ok">✓ kept{but}</span> <span class="muted">{plural(one["asked"], "rule")}{unasked}</span>'


def _since(since: Document, known: t.Mapping[str, Document]) -> str:
    if since["why"]:
        html = f'<p class="muted">Nothing to compare with: {markup(since["why"])}.</p>'
        return section("since", "Since the last run", html)
    new = "".join(
        f'<li><span class="bad">new</span> {badge(known[one]["severity"])} {markup(known[one]["evidence"])} '
        f'<a href="#{markup(one)}">{markup(one)}</a></li>'
        for one in since["new"][:MOST]
    )
    left = len(since["new"]) + len(since["gone"]) - sum(min(len(since[key]), MOST) for key in ("new", "gone"))
    more = f"<li>{left:,} more in audit.json</li>" if left else ""
    gone = "".join(
        f'<li><span class="ok">gone</span> {badge(one["severity"])} {markup(one["evidence"])} '
        f'<span class="muted">{markup(one["id"])} on {markup(one["host"])}</span></li>'
        for one in since["gone"][:MOST]
    )
    states = "".join(
        f"<li>source {markup(one['id'])} of {markup(one['host'])}: {markup(one['before'] or 'not there')} → "
        f"{markup(one['now'] or 'not there')}</li>"
        for one in since["sources"]
    )
    html = f"<ul>{new}{gone}{more}{states}</ul>" if new or gone or states else "<p>Nothing has changed.</p>"
    return section("since", "Since the last run", html, f"The last run was {since['at'][:16].replace('T', ' ')} UTC.")


def _sources(document: Document) -> str:
    words = {"read": ("ok", "✓ read"), "unreadable": ("bad", "! unreadable"), "absent": ("muted", "declared absent")}
    items = "".join(
        f'<li><span class="{words[one["state"]][0]}">{words[one["state"]][1]}</span><span>{markup(one["title"])} '
        f'<span class="muted">{markup(one["host"])}{": " + markup(one["why"]) if one["why"] else ""}</span></span></li>'
        for one in document["sources"]
    )
    return section("sources", "Sources", f'<ul class="rows">{items}</ul>', "What was looked at, and what was not.")


def _rules(document: Document) -> str:
    rows = "".join(
        f'<tr><td><span class="{_RESULTS.get(one["result"], "muted")}">{markup(one["result"])}</span></td>'
        f"<td>{markup(one['id'])}</td><td>{markup(one['about'])}</td></tr>"
        for one in document["rules"]
    )
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("result", "rule", "what it means"))
    html = (
        f"<details><summary>{plural(len(document['rules']), 'rule')}</summary>"
        '<div class="scroll" role="region" tabindex="0" aria-label="Rules"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )
    return section("rules", "Rules", html, "Everything that was asked, and what came of it.")
