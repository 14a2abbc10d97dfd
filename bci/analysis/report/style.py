"""How the page looks."""

STYLE = """
:root { color-scheme: light; --ink: #1f2328; --soft: #636c76; --line: #d8dee4; --pale: #f6f8fa; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--pale); color: var(--ink);
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial,
    sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 24px 20px 48px; }
header, section, .tiles > div { background: #fff; border: 1px solid var(--line);
  border-radius: 8px; }
header, section { padding: 18px 22px; margin-bottom: 16px; min-width: 0; overflow: hidden; }
h1 { font-size: 24px; margin: 0 0 12px; overflow-wrap: anywhere; }
h2 { font-size: 16px; margin: 0 0 10px; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr));
  gap: 8px 24px; margin: 0; }
dt { color: var(--soft); font-size: 12px; }
dd { margin: 0; overflow-wrap: anywhere; }
.note { color: var(--soft); margin: 10px 0 0; font-size: 12.5px; max-width: 80ch; }
section > .note { margin: 0 0 10px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 12px;
  margin-bottom: 16px; }
.tiles > div { padding: 12px 14px; }
.tiles strong { display: block; font-size: 20px; font-variant-numeric: tabular-nums; }
.tiles span { color: var(--soft); font-size: 12px; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(340px, 1fr));
  gap: 0 16px; }
.halves { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0 16px; }
@media (max-width: 760px) { .halves { grid-template-columns: minmax(0, 1fr); } }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
tbody tr:last-child > * { border-bottom: 0; }
thead th, .facts th { color: var(--soft); font-weight: 500; font-size: 12.5px; }
.facts th { width: 40%; }
.facts td { overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--soft); overflow-wrap: anywhere; }
pre { overflow-x: auto; font-size: 12px; }
@media print { body { background: #fff; } header, section { break-inside: avoid; } }
"""
