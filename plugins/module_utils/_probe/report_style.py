# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""The HTML report's style sheet: light and dark, wide and narrow, and on paper."""

from __future__ import annotations

#: Okabe and Ito's palette, which colour-blind people can tell apart, dark enough for white; lighter in the dark.
STYLE = """
:root{color-scheme:light dark;--bg:#fbfbfa;--card:#fff;--ink:#1b1f24;--soft:#5b6470;--line:#e3e5e8;--grid:#eceef0;
--t0:#0072b2;--t1:#c77700;--t2:#00956c;--t3:#b25d91;--t4:#6a6a00;--lost:#d1242f;--nobody:#7a7f87;
--fault:#d5522f14;--restore:#c9a2001c;--recovery:#0a9c6c14;--faultink:#b3401f;--restoreink:#8a6d00;--recoveryink:#0a7a55;
--pass:#0a7a4b;--fail:#c4222d;--inconclusive:#8a5b00;--passbg:#e4f5ec;--failbg:#fdeaea;--inconclusivebg:#fff3d6}
@media (prefers-color-scheme:dark){:root{--bg:#0f1216;--card:#171b21;--ink:#e6e9ed;--soft:#9aa4b1;--line:#2a3038;--grid:#232931;
--t0:#56b4e9;--t1:#f0a830;--t2:#2fc49a;--t3:#e29ac6;--t4:#f4f078;--lost:#ff6b70;--nobody:#8f959d;
--fault:#ff6b4a1c;--restore:#ffd24a18;--recovery:#2fc49a18;--faultink:#ff8f73;--restoreink:#e5c04a;--recoveryink:#4fd0a8;
--pass:#4fd08f;--fail:#ff7b80;--inconclusive:#f0b84a;--passbg:#12301f;--failbg:#3a1719;--inconclusivebg:#33270d}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;
-webkit-text-size-adjust:100%}
main{max-width:1160px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:19px;line-height:1.3;margin:6px 0 0;font-weight:650;overflow-wrap:anywhere}h2{font-size:20px;margin:0;letter-spacing:-.005em}
h3{font-size:13px;margin:26px 0 8px;color:var(--soft);font-weight:600;text-transform:uppercase;letter-spacing:.05em}
p{margin:6px 0}.soft{color:var(--soft)}.num{font-variant-numeric:tabular-nums}
.verdict{display:flex;gap:18px;align-items:center;border-radius:14px;padding:20px 24px;margin-bottom:20px;border:1px solid}
.verdict .word{font-size:34px;font-weight:750;letter-spacing:.01em;line-height:1}.verdict svg{width:56px;height:56px;flex:none}
.verdict p{margin:2px 0 0}.verdict .when{color:var(--soft);font-size:13px}
.pass{--v:var(--pass);--vbg:var(--passbg)}.fail{--v:var(--fail);--vbg:var(--failbg)}
.inconclusive{--v:var(--inconclusive);--vbg:var(--inconclusivebg)}
.verdict{background:var(--vbg);border-color:color-mix(in srgb,var(--v) 35%,transparent)}.verdict .word,.verdict svg{color:var(--v)}
.badge{display:inline-block;padding:2px 10px;border-radius:99px;font-size:13px;font-weight:650;color:var(--v);background:var(--vbg);
white-space:nowrap}
section.drill{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:22px 24px;margin-top:20px}
.head{display:flex;gap:12px;align-items:center;flex-wrap:wrap}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;margin:16px 0 4px}
.tile{border:1px solid var(--line);border-radius:10px;padding:10px 14px}
.tile b{display:block;font-size:22px;font-weight:680;line-height:1.25;font-variant-numeric:tabular-nums}
.tile b small{font-size:14px;font-weight:500;color:var(--soft)}.tile span{font-size:13px;color:var(--soft);display:block;line-height:1.35}
.tile:only-child{max-width:240px}.tile.bad b{color:var(--fail)}
details{margin-top:22px}summary{cursor:pointer;color:var(--soft);font-size:14px}ul.reasons{margin:14px 0 0;padding:0;list-style:none}
ul.reasons li{padding:9px 14px;margin-top:6px;border-radius:8px;background:var(--vbg);border-left:4px solid var(--v);overflow-wrap:anywhere}
ul.reasons code{color:var(--v);font-size:12.5px;margin-right:4px}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px}
th{font-weight:600;color:var(--soft);font-size:12.5px;white-space:nowrap}
th,td{padding:7px 10px;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}tr:last-child td{border-bottom:0}
td:first-child,th:first-child{padding-left:2px}.word-wrap{overflow-wrap:anywhere}
figure{margin:18px 0 0}figure svg{display:block;width:100%;height:auto}figure .narrow{display:none}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:13.5px;margin:2px 0 6px}
.legend span{display:inline-flex;align-items:center;gap:6px}.legend svg{width:14px;height:14px;overflow:visible;display:inline}
.two{display:grid;grid-template-columns:1fr 1fr;gap:0 32px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:5px 16px;margin:0;font-size:14px}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}.better{color:var(--pass)}.worse{color:var(--fail)}
footer{margin-top:28px;font-size:13px;color:var(--soft)}a{color:inherit}
svg text{fill:var(--soft);font-family:inherit}svg .grid{stroke:var(--grid)}svg .axis{stroke:var(--soft);stroke-opacity:.6}
svg .band{fill:var(--fault)}svg .band.restore{fill:var(--restore)}svg .band.recovery{fill:var(--recovery)}
svg text.band-name{fill:var(--faultink);font-weight:650}svg text.band-name.restore{fill:var(--restoreink)}
svg text.band-name.recovery{fill:var(--recoveryink)}
svg .effect{stroke:var(--faultink);stroke-width:1.5}svg line.limit{stroke:var(--lost);stroke-width:1.5;stroke-dasharray:6 4}
svg text.limit{fill:var(--lost);font-weight:600;paint-order:stroke;stroke:var(--card);stroke-width:4px;stroke-linejoin:round;
pointer-events:none}
.t0{--c:var(--t0)}.t1{--c:var(--t1)}.t2{--c:var(--t2)}.t3{--c:var(--t3)}.t4{--c:var(--t4)}.lost{--c:var(--lost)}.nobody{--c:var(--nobody)}
.mark{fill:var(--c);stroke:var(--c);stroke-width:1;fill-opacity:.62;stroke-opacity:.9}
.mark.stream{fill:var(--card);fill-opacity:.35;stroke-width:1.4}
.mark.lost{fill:none;stroke-width:2.4;stroke-opacity:1}.bar{fill:var(--c)}
.m:focus{outline:0}.m:hover .mark,.m:focus .mark{stroke:var(--ink);stroke-width:3;stroke-opacity:1}.m:hover .bar{fill-opacity:.7}
.tip{display:none;transform:var(--tip)}svg text.tip{fill:var(--ink);font-weight:600}
.m:hover .tip,svg:not(:has(.m:hover)) .m:focus .tip{display:block}svg:has(.m:hover) .hint,svg:has(.m:focus) .hint{display:none}
svg text.slowest{fill:var(--ink);font-weight:650;paint-order:stroke;stroke:var(--card);stroke-width:4px;stroke-linejoin:round;
pointer-events:none}
@media (max-width:640px){main{padding:16px 12px 40px}h1{font-size:17px}section.drill{padding:16px 14px;border-radius:12px}
.verdict{padding:16px}.verdict .word{font-size:28px}.verdict svg{width:40px;height:40px}.tiles{grid-template-columns:1fr 1fr}
.tile b{font-size:19px}
.two{grid-template-columns:1fr}figure .wide{display:none}figure .narrow{display:block}dl{grid-template-columns:1fr;gap:0}
dd{margin-bottom:8px}
th,td{padding:7px 4px}table{font-size:13px}.hide{display:none}}
@media print{section.drill{break-inside:avoid}body{background:#fff}}
"""
