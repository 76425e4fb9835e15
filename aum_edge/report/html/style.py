"""The page's style sheet: light, dark, phone and paper. The charts use its colour variables."""

from __future__ import annotations

LIGHT = """
  --page: #f5f7f9; --card: #ffffff; --ink: #1b2127; --muted: #5a6772; --line: #dde3e8;
  --final: #0072b2; --control: #d98e00; --teacher: #00815f; --distilled: #4aa3d8;
  --pruned: #b85f93; --over: #b3261e; --inside: #14733f; --over-soft: #fcebe9;
  --inside-soft: #e6f4ec;
"""
DARK = """
  --page: #11161a; --card: #192026; --ink: #e9edf0; --muted: #9fabb5; --line: #323d46;
  --final: #62b5ea; --control: #f2b33d; --teacher: #45c39d; --distilled: #a9d8f5;
  --pruned: #e3a0c8; --over: #ff8f85; --inside: #62d49b; --over-soft: #3a2020;
  --inside-soft: #16322a;
"""
RULES = """
* { box-sizing: border-box; }
html { color-scheme: light dark; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial,
  sans-serif; }
main, header, footer { max-width: 1080px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 36px; }
footer { padding-top: 8px; padding-bottom: 48px; color: var(--muted); font-size: 14px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px; overflow-wrap: anywhere; }
h2 { font-size: 21px; margin: 0 0 4px; }
h3 { font-size: 16px; margin: 0 0 10px; overflow-wrap: anywhere; }
p { margin: 0 0 12px; max-width: 76ch; overflow-wrap: anywhere; }
.note, .sub { color: var(--muted); font-size: 14px; max-width: 100ch; }
.sub { margin: 0; }
nav { margin: 14px 0 0; font-size: 14px; display: flex; flex-wrap: wrap; gap: 4px 16px; }
nav a { color: var(--final); text-decoration: none; }
nav a:hover { text-decoration: underline; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 22px 24px; margin: 20px 0; }
section > :last-child { margin-bottom: 0; }
.stack { min-width: 0; }
.stack > :first-child { margin-top: 0; }
.stack > :last-child { margin-bottom: 0; }
.stack > * + * { margin-top: 18px; }
.pair { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 24px 28px;
  margin-top: 16px; align-items: start; }
figure { margin: 0; min-width: 0; }
figcaption { font-weight: 600; margin-bottom: 6px; }
svg { display: block; width: 100%; height: auto; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
.verdict { border-left: 8px solid var(--inside); padding-left: 22px; }
.verdict.over { border-left-color: var(--over); }
.verdict.unknown { border-left-color: var(--muted); }
.verdict > h2 { font-size: 28px; line-height: 1.25; margin-bottom: 10px; }
.badge { display: inline-block; border-radius: 999px; padding: 1px 12px; font-size: 14px;
  font-weight: 600; white-space: nowrap; }
.badge.inside { color: var(--inside); background: var(--inside-soft); }
.badge.over { color: var(--over); background: var(--over-soft); }
.badges .badge { margin: 0 8px 10px 0; }
.tiles { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 12px;
  margin: 14px 0 20px; }
.tile { border: 1px solid var(--line); border-radius: 8px; padding: 10px 14px; }
.tile b { display: block; font-size: 25px; line-height: 1.3; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
.tile span { display: block; color: var(--muted); font-size: 13px; }
.budget h3 { margin: 0 0 6px; }
.budget h3 .badge { margin-left: 8px; }
.bar { display: grid; grid-template-columns: 1fr auto; gap: 2px 12px; margin: 9px 0;
  font-size: 14px; }
.bar .value { color: var(--muted); font-variant-numeric: tabular-nums; }
.bar .value b { color: var(--ink); }
.track { grid-column: 1 / -1; position: relative; height: 14px;
  border-radius: 3px; background: var(--line);
  print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.track i { position: absolute; left: 0; top: 0; bottom: 0; border-radius: 3px;
  background: var(--bar); }
.track.over i { background: repeating-linear-gradient(135deg, var(--over) 0 8px,
  color-mix(in srgb, var(--over) 70%, var(--card)) 8px 12px); }
.track u { position: absolute; top: -4px; bottom: -4px; width: 2px; background: var(--over); }
.table { margin: 14px 0; }
.caption { margin: 0 0 4px; color: var(--muted); font-size: 14px; }
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid var(--final); }
table { border-collapse: collapse; width: 100%; font-size: 14px;
  font-variant-numeric: tabular-nums; }
th, td { padding: 7px 10px; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; white-space: nowrap; }
thead th { color: var(--muted); font-weight: 600; vertical-align: bottom; }
th small, td small { display: block; font-weight: 400; font-size: 12px; color: var(--muted); }
.number { text-align: right; }
td.text { white-space: normal; overflow-wrap: break-word; }
tbody th { font-weight: 600; position: sticky; left: 0; background: var(--card);
  white-space: normal; overflow-wrap: break-word; min-width: 168px; }
tbody tr:last-child th, tbody tr:last-child td { border-bottom: 0; }
.key { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 8px;
  background: var(--bar); print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr));
  gap: 4px 24px; margin: 10px 0; font-size: 14px; }
.facts div { display: flex; gap: 8px; border-bottom: 1px solid var(--line); padding: 4px 0;
  min-width: 0; }
.facts dt { color: var(--muted); flex: 0 0 auto; max-width: 55%; }
.facts dd { margin: 0 0 0 auto; text-align: right; overflow-wrap: anywhere; min-width: 0; }
details { margin: 12px 0; }
summary { cursor: pointer; font-weight: 600; }
pre { font: 13px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow: auto;
  background: var(--page); border: 1px solid var(--line); border-radius: 8px;
  padding: 12px 14px; max-height: 560px; margin: 10px 0 0; }
code { font: 13px ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
.loud { border: 1px solid var(--over); background: var(--over-soft); border-radius: 8px;
  padding: 10px 14px; }
@media screen and (max-width: 760px) {
  main, header, footer { padding-left: 12px; padding-right: 12px; }
  header { padding-top: 22px; }
  section { padding: 16px 14px; margin: 14px 0; }
  .pair { grid-template-columns: minmax(0, 1fr); }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .tile b { font-size: 21px; }
  .tile { padding: 8px 10px; }
  h1 { font-size: 25px; }
  .verdict > h2 { font-size: 23px; }
  th, td { padding: 6px 8px; }
  table { font-size: 13px; }
  tbody th { min-width: 112px; }
}
@media print {
  body { background: none; font-size: 12px; }
  nav { display: none; }
  main, header, footer { max-width: none; padding: 0; }
  h1 { font-size: 22px; }
  h2 { font-size: 16px; }
  h3 { font-size: 13px; }
  section { border: 0; border-radius: 0; padding: 0; margin: 18px 0 24px; }
  .verdict { padding-left: 14px; border-left: 6px solid var(--inside); }
  .verdict > h2 { font-size: 20px; }
  .pair { gap: 14px 20px; }
  .tile b { font-size: 18px; }
  .tile span, .bar, .facts, .note, .sub, .caption { font-size: 10.5px; }
  figure, tr, .tile, .budget, .facts div, .pair > .stack > .table { break-inside: avoid; }
  h2, h3, figcaption, .caption { break-after: avoid; }
  .scroll { overflow: visible; }
  table { font-size: 10px; }
  th small, td small { font-size: 8.5px; }
  th, td { padding: 4px 5px; }
  tbody th { min-width: 90px; }
  pre { max-height: none; white-space: pre-wrap; font-size: 9px; }
}
"""


def style_sheet() -> str:
    """The CSS of the page. Dark colours are for screens only: paper is always light."""
    dark = f"@media screen and (prefers-color-scheme: dark) {{ :root {{{DARK}}} }}"
    return f":root {{{LIGHT}}}\n{dark}\n{RULES}"
