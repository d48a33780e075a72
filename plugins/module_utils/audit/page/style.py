# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page's style: system fonts, light and dark, screen and paper. Each pair of colours has WCAG AA's contrast."""

from __future__ import annotations

_LIGHT = """
--bg:#fff;--soft:#f5f6f8;--line:#d4d9e1;--text:#16191f;--muted:#525a67;--link:#0b57a4;
--critical:#9b0f2e;--high:#a83a06;--medium:#765600;--low:#3a5780;--on:#fff;
--ok:#176b3a;--ok-soft:#e2f4e8;--bad-soft:#fdebee;
--read:#e3effb;--read-t:#0a3d73;--write:#fcedc9;--write-t:#5a3f00;--power:#efe4fb;--power-t:#4b1d80
"""
_DARK = """
--bg:#111418;--soft:#1a1f27;--line:#363f4c;--text:#e9ecf1;--muted:#a8b1be;--link:#8bbcf8;
--critical:#ff9dad;--high:#ffb68a;--medium:#efcf6e;--low:#a9c8ef;--on:#14161a;
--ok:#67d395;--ok-soft:#143322;--bad-soft:#3c1820;
--read:#17334f;--read-t:#bfdeff;--write:#43350c;--write-t:#ffe49e;--power:#3b2458;--power-t:#e4cdff
"""
_RULES = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%;scroll-padding-top:1rem}
body{margin:0 auto;padding:2.5rem 1.5rem 5rem;max-width:72rem;background:var(--bg);color:var(--text);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;overflow-wrap:break-word}
h1,h2,h3,h4{line-height:1.2;text-wrap:balance}
h1{margin:.2rem 0 .4rem;font-size:clamp(1.7rem,5vw,2.5rem);letter-spacing:-.02em}
h2{margin:0 0 .4rem;font-size:1.4rem;letter-spacing:-.01em}
h3{margin:1.8rem 0 .5rem;font-size:1.05rem}
section{margin-top:3.5rem}
p{margin:.3rem 0}
a{color:var(--link);text-underline-offset:.15em}
:focus-visible{outline:3px solid var(--link);outline-offset:2px;border-radius:2px}
code,pre{font:.86em/1.5 ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
pre{margin:.2rem 0 0;padding:.55rem .75rem;background:var(--soft);border-radius:.4rem;white-space:pre-wrap;
overflow-wrap:anywhere}
ul,ol{margin:.4rem 0;padding-left:1.3rem}
summary{cursor:pointer;color:var(--link)}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:1rem;background:var(--bg);padding:.5rem}
.muted,.meta{color:var(--muted)}.meta{font-size:.9rem}
nav{margin-top:1.6rem;font-size:.95rem}nav ul{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;list-style:none;padding:0}
.verdict{display:flex;gap:.8rem;align-items:baseline;margin-top:1.4rem;padding:1rem 1.2rem;border-radius:.6rem;
font-size:1.1rem;font-weight:600;background:var(--bad-soft)}
.verdict.s0{background:var(--ok-soft)}
.verdict .sign{font-size:1.3rem;line-height:1}
.s0 .sign{color:var(--ok)}.s2 .sign,.s3 .sign{color:var(--critical)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(7rem,1fr));gap:.7rem;margin:1rem 0 0;padding:0;
list-style:none}
.tiles li{padding:.8rem 1rem;border:1px solid var(--line);border-radius:.6rem;color:var(--muted);font-size:.92rem}
.tiles b{display:block;font-size:1.9rem;line-height:1.15;color:var(--text);font-variant-numeric:tabular-nums}
.tiles .none b{color:var(--muted);font-weight:400}
.badge{display:inline-block;padding:.08rem .55rem;border-radius:1rem;font-size:.8rem;font-weight:600;color:var(--on);
white-space:nowrap}
.critical{background:var(--critical)}.high{background:var(--high)}.medium{background:var(--medium)}
.low{background:var(--low)}
.rows{list-style:none;padding:0;margin:.9rem 0 0}
.rows>li{display:grid;grid-template-columns:13rem 1fr;gap:.2rem 1.2rem;padding:.6rem 0;border-top:1px solid var(--line)}
.ok{color:var(--ok);font-weight:600}.bad{color:var(--critical);font-weight:600}
.finding{padding:1.1rem 0 1.2rem;border-top:1px solid var(--line);break-inside:avoid}
.finding h4{margin:0 0 .3rem;font-size:1.05rem;font-weight:600;text-wrap:pretty}
.finding .meta{margin-top:.5rem}
.names{font:.86em/1.6 ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
.scroll{overflow-x:auto;margin:.9rem 0;border:1px solid var(--line);border-radius:.6rem}
table{border-collapse:separate;border-spacing:0;font-size:.92rem}
th,td{padding:.5rem .75rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
tr:last-child>*{border-bottom:0}
thead th{background:var(--soft);font-weight:600}
.matrix{min-width:100%}
.matrix th[scope=row]{position:sticky;left:0;z-index:1;background:var(--bg);font-weight:400;min-width:9rem;
max-width:20rem;overflow-wrap:anywhere;border-right:1px solid var(--line)}
.matrix thead th:first-child{position:sticky;left:0;z-index:2;border-right:1px solid var(--line)}
.matrix thead th{min-width:6.5rem;max-width:12rem;overflow-wrap:anywhere}
.kind{font-size:.87em;color:var(--muted)}
.w{display:inline-block;margin:0 .2rem .2rem 0;padding:.02rem .42rem;border-radius:.3rem;font-size:.84rem;
white-space:nowrap}
.r{background:var(--read);color:var(--read-t)}.i{background:var(--write);color:var(--write-t)}
.d{background:var(--power);color:var(--power-t)}
.x{background:var(--critical);color:var(--on);font-weight:700;margin:.1rem .35rem .35rem .15rem;
box-shadow:0 0 0 2px var(--bg),0 0 0 3.5px var(--critical)}
.u{background:none;color:var(--muted);text-decoration:line-through}
.ways{list-style:none;padding:0;margin:.3rem 0 0;font-size:.95rem}
.ways li{padding:.35rem 0;border-top:1px solid var(--line)}
.role{break-inside:avoid-page}
.late{content-visibility:auto;contain-intrinsic-size:auto 24rem}
.pair{display:flex;flex-wrap:wrap;gap:1.5rem 2.5rem;align-items:flex-start}
.pair>*{flex:1 1 20rem;min-width:0}
figure{margin:.8rem 0 0;max-width:32rem}figcaption{font-weight:600;font-size:.95rem;margin-bottom:.3rem}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:var(--text)}
svg .small{font-size:12px;fill:var(--muted)}svg .name{font-weight:600}
.verified{fill:var(--ok)}.archived{fill:var(--ok-soft);stroke:var(--ok);stroke-width:1}
.failed{fill:var(--critical)}.other{fill:var(--bg);stroke:var(--muted);stroke-width:1.5;stroke-dasharray:3 2}
.axis{stroke:var(--line);stroke-width:1}.line{fill:none;stroke:var(--muted);stroke-width:1.5}
.box{fill:var(--soft);stroke:var(--line);stroke-width:1.5}.pill{fill:var(--read)}svg .pill-t{fill:var(--read-t)}
.arrow{fill:none;stroke:var(--muted);stroke-width:1.5}.head{fill:var(--muted)}
.dot{fill:var(--text)}svg .dot-t{fill:var(--bg);font-size:11px;font-weight:600}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;list-style:none;padding:0;font-size:.9rem;color:var(--muted)}
.legend svg{display:inline-block;width:.8rem;height:.8rem;vertical-align:-.06rem;margin-right:.35rem}
@media(max-width:40rem){body{padding:1.4rem 1rem 4rem}section{margin-top:2.8rem}
.rows>li{grid-template-columns:1fr}.tiles{grid-template-columns:repeat(3,1fr);gap:.5rem}
.tiles li{padding:.6rem .7rem;font-size:.85rem}.tiles b{font-size:1.5rem}
th,td{padding:.4rem .5rem}.matrix th[scope=row],.matrix thead th:first-child{min-width:7.5rem;max-width:9.5rem}}
@media print{:root{color-scheme:light;LIGHT}.late{content-visibility:visible}@page{margin:14mm}html{font-size:11px}
body{max-width:none;padding:0;font-size:1rem}nav,.skip{display:none}section{margin-top:1.6rem}
.scroll{overflow:visible;border:0}table{font-size:.85rem}th,td{padding:.2rem .35rem}.w{font-size:.8rem}
.matrix th[scope=row]{min-width:0}tr{break-inside:avoid}h2,h3{break-after:avoid}
.w,.badge,.verdict,thead th,svg *{print-color-adjust:exact;-webkit-print-color-adjust:exact}
details::details-content{content-visibility:visible;block-size:auto;display:block}a{color:inherit;text-decoration:none}}
"""


def style() -> str:
    """The style sheet, on one line but for its rules."""
    light = _LIGHT.strip().replace("\n", "")
    dark = _DARK.strip().replace("\n", "")
    rules = _RULES.strip().replace("LIGHT", light)
    return f":root{{color-scheme:light dark;{light}}}\n@media(prefers-color-scheme:dark){{:root{{{dark}}}}}\n{rules}"
