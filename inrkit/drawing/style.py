"""How a report looks: one style sheet, light and dark, for any width of window."""

CSS = """
:root {
  color-scheme: light dark;
  --paper: #f7f6f3; --card: #ffffff; --ink: #1d1f24; --soft: #6a6e78; --line: #e3e1dc; --accent: #3257d6;
  --c0: #3257d6; --c1: #d9592b; --c2: #24936e; --c3: #a148b5; --c4: #b98900; --c5: #c2364f;
  --c6: #2a8fae; --c7: #6f6a5c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #131418; --card: #1c1e24; --ink: #eceae6; --soft: #9a9ea9; --line: #30333b; --accent: #8ea6ff;
    --c0: #8ea6ff; --c1: #ff9367; --c2: #5fcfa5; --c3: #d793e6; --c4: #e3bc4b; --c5: #ff8096;
    --c6: #6ecbe6; --c7: #b5b0a2;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI",
  Roboto, "Helvetica Neue", Arial, sans-serif; -webkit-text-size-adjust: 100%; }
main, header { max-width: 1120px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 48px; }
.kicker { color: var(--accent); font-size: 13px; font-weight: 600; letter-spacing: .08em; text-transform: uppercase; }
h1 { font-size: clamp(30px, 5vw, 46px); line-height: 1.1; letter-spacing: -.02em; margin: 6px 0 8px; }
h2 { font-size: 23px; letter-spacing: -.01em; margin: 0 0 4px; }
h3 { font-size: 15px; margin: 0 0 6px; }
.subtitle, .lead { color: var(--soft); margin: 0 0 18px; max-width: 75ch; }
.subtitle { font-size: 18px; }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 1px; margin: 26px 0 0;
  background: var(--card); border: 1px solid var(--line); border-radius: 14px; overflow: hidden; }
.numbers div { padding: 14px 18px; outline: 1px solid var(--line); }
.numbers dt { color: var(--soft); font-size: 13px; }
.numbers dd { margin: 0; font-size: 22px; font-weight: 650; white-space: nowrap; letter-spacing: -.01em;
  font-variant-numeric: tabular-nums; }
.numbers small { font-size: 14px; font-weight: 500; color: var(--soft); }
section { margin: 28px 0; padding: 24px; background: var(--card); border: 1px solid var(--line); border-radius: 14px; }
figure { margin: 0 0 14px; min-width: 0; }
figure:last-child { margin-bottom: 0; }
figure img { display: block; max-width: 100%; height: auto; border-radius: 6px; }
figure.wide img { width: 100%; }
figcaption { color: var(--soft); font-size: 13.5px; margin-top: 6px; }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(220px, 42%), 1fr)); gap: 16px;
  margin-bottom: 16px; }
.row figure { margin: 0; }
.row img { width: 100%; }
.labelled { display: grid; gap: 6px 14px; align-items: center; }
.labelled p { margin: 0; color: var(--soft); font-size: 13.5px; text-align: right; font-variant-numeric: tabular-nums; }
.labelled img { display: block; width: 100%; height: auto; }
.note { color: var(--soft); font-size: 13.5px; margin: 8px 0 0; max-width: 90ch; }
.block + .block { margin-top: 24px; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); gap: 26px 28px; }
svg.chart { width: 100%; height: auto; display: block; overflow: visible; }
svg.chart text { font-size: 12px; fill: var(--soft); font-variant-numeric: tabular-nums; }
svg .grid { stroke: var(--line); } svg .axis { stroke: var(--soft); }
svg .mark { stroke: var(--soft); stroke-dasharray: 3 4; opacity: .8; } svg text.mark { stroke: none; }
svg path { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
svg .area { fill: var(--own); stroke: var(--card); stroke-width: 1; }
svg .raw { stroke-width: 1; opacity: .28; }
.c0 { stroke: var(--c0); --own: var(--c0); } .c1 { stroke: var(--c1); --own: var(--c1); }
.c2 { stroke: var(--c2); --own: var(--c2); } .c3 { stroke: var(--c3); --own: var(--c3); }
.c4 { stroke: var(--c4); --own: var(--c4); } .c5 { stroke: var(--c5); --own: var(--c5); }
.c6 { stroke: var(--c6); --own: var(--c6); } .c7 { stroke: var(--c7); --own: var(--c7); }
svg circle { fill: var(--own); stroke: none; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 16px; margin: 6px 0 0; padding: 0; font-size: 13px;
  color: var(--soft); }
.swatch { display: inline-block; width: 14px; height: 3px; border-radius: 2px; background: var(--own);
  vertical-align: middle; margin-right: 6px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14.5px; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 7px 10px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
th { color: var(--soft); font-weight: 550; font-size: 13px; white-space: normal; vertical-align: bottom; }
tr:last-child td { border-bottom: 0; }
pre { margin: 0; overflow-x: auto; font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
summary { cursor: pointer; font-weight: 600; }
summary + * { margin-top: 14px; }
footer { max-width: 1120px; margin: 0 auto; padding: 0 24px 48px; color: var(--soft); font-size: 13.5px; }
@media (max-width: 640px) { main, header, footer { padding-left: 14px; padding-right: 14px; }
  section { padding: 16px; } }
@media print { section { break-inside: avoid; } body { background: #fff; } }
"""
