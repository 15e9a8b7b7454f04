import { customProperties, dashes, palettes, variantColours } from './palette.ts';

const eachColour = (rule: (i: number) => string): string =>
  Array.from({ length: variantColours }, (_, i) => rule(i)).join('\n');

/** The line of a variant as a background, dashed as in the drawings. */
function dashed(i: number): string {
  let at = 0;
  const stops = dashes[i]!.map((length, part) => {
    const from = at;
    at += length;
    return `${part % 2 === 0 ? `var(--c${i})` : 'transparent'} ${from}px ${at}px`;
  });
  return stops.length > 0 ? `repeating-linear-gradient(90deg, ${stops.join(', ')})` : `var(--c${i})`;
}

/**
 * The report's style sheet: one column of text, charts two abreast where there is room, colours for light, dark and
 * print.
 */
export const style = `
:root {
  color-scheme: light dark;
  ${customProperties(palettes.light)}
}
@media (prefers-color-scheme: dark) {
  :root { ${customProperties(palettes.dark)} }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans", sans-serif;
}
main { max-width: 1120px; margin: 0 auto; padding: 40px 24px 80px; }
h1 { font-size: 2rem; line-height: 1.2; letter-spacing: -0.015em; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.35rem; line-height: 1.3; letter-spacing: -0.01em; margin: 56px 0 6px; }
h3 { font-size: 1.05rem; margin: 32px 0 8px; }
p { margin: 0 0 12px; max-width: 72ch; }
small, .soft { color: var(--soft); font-size: 0.85em; font-weight: 400; }
.lead { font-size: 1.1rem; margin-top: 20px; }
.lead p { margin-bottom: 6px; }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 18px 0 0; font-size: 0.9rem; }
a { color: var(--c0); text-underline-offset: 2px; }
dl.glossary { margin: 8px 0 16px; } dl.glossary dt { font-weight: 600; } dl.glossary dd { margin: 0 0 6px; max-width: 72ch; }
dl.variants { display: grid; grid-template-columns: max-content 1fr; gap: 2px 14px; margin: 16px 0 0; }
dl.variants dt { font-weight: 600; } dl.variants dd { margin: 0; overflow-wrap: anywhere; }
.tasks td, .tasks th.number { padding: 5px 0 5px 10px; } .tasks small { display: block; white-space: nowrap; } .tasks tbody + tbody { break-before: auto; } .tasks tbody th { white-space: nowrap; }
table.published { margin: 12px 0; min-width: min(100%, 38rem); } .published caption { text-align: left; padding-bottom: 4px; } .published caption small { display: block; }
.missing { color: var(--soft); font-style: italic; }
.warning { color: var(--bad); font-size: 0.85rem; margin: 6px 0 0; }

table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; margin: 12px 0; }
th, td { text-align: left; padding: 7px 14px 7px 0; vertical-align: baseline; border-bottom: 1px solid var(--rule); }
th:last-child, td:last-child { padding-right: 0; }
thead th { font-size: 0.85rem; color: var(--soft); font-weight: 600; border-bottom-color: var(--soft); }
tbody th { font-weight: 400; }
.number { text-align: right; white-space: nowrap; }
td small { white-space: nowrap; }
.wide td small { display: block; white-space: normal; }
.group th { font-weight: 700; padding-top: 20px; border-bottom-color: var(--soft); }
.better { color: var(--soft); }
.good { color: var(--good); } .bad { color: var(--bad); } .good small, .bad small { color: inherit; }
tfoot th, tfoot td { font-weight: 600; border-bottom: 0; }
.state.finished { color: var(--good); } .state.stopped, .state.failed, .state.broken-off { color: var(--bad); } .state small { display: block; max-width: 60ch; overflow-wrap: anywhere; } .state.not-run { color: var(--soft); font-style: italic; }

.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 400px), 1fr)); gap: 28px 36px; margin: 16px 0; }
.chart { margin: 0; max-width: 620px; min-width: 0; break-inside: avoid; }
.chart figcaption { font-weight: 600; font-size: 0.95rem; margin-bottom: 6px; }
.plot { position: relative; font-variant-numeric: tabular-nums; }
.plot svg { width: 100%; height: auto; display: block; overflow: visible; }
.below { display: flex; justify-content: space-between; gap: 12px; padding: 0 2.9% 0 9.6%; }
.axis-name { margin-left: auto; white-space: nowrap; font-size: 0.75rem; color: var(--soft); }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 0; padding: 0; font-size: 0.82rem; }
.key { display: inline-block; width: 22px; height: 3px; margin-right: 7px; vertical-align: 0.2em; background: var(--text); print-color-adjust: exact; }
${eachColour((i) => `.c${i} .key { background: ${dashed(i)}; }`)}
.cursor { position: absolute; top: 3.7%; bottom: 10.4%; border-left: 1px solid var(--soft); pointer-events: none; }
.tooltip { position: absolute; z-index: 1; top: 4px; padding: 6px 10px; border: 1px solid var(--rule); border-radius: 6px; background: var(--page);
  font-size: 0.78rem; line-height: 1.5; white-space: nowrap; pointer-events: none; box-shadow: 0 2px 10px rgb(0 0 0 / 0.15); }
.tooltip b { float: right; margin-left: 14px; font-variant-numeric: tabular-nums; }

.maps { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 300px), 1fr)); gap: 20px 28px; margin: 16px 0; }
.maps .chart { max-width: 400px; } .maps .below { padding: 0 14% 0 9.6%; }
.save { display: flex; justify-content: flex-end; gap: 4px; opacity: 0.75; } .chart:hover .save, .save:focus-within { opacity: 1; }
.save button { font: inherit; font-size: 0.7rem; padding: 1px 6px; border: 1px solid var(--rule); border-radius: 4px; background: none; color: var(--soft); cursor: pointer; }
.save button:hover { color: var(--text); border-color: var(--soft); }
:focus-visible { outline: 2px solid var(--c0); outline-offset: 2px; }
.skip { position: absolute; left: -100vw; } .skip:focus { left: 16px; top: 8px; padding: 4px 10px; background: var(--page); z-index: 2; }

.wins table { font-size: 0.85rem; } .wins th, .wins td { padding: 5px 10px 5px 0; white-space: nowrap; } .wins .picture { width: 45%; padding-right: 0; }
.bar { display: flex; gap: 1px; height: 13px; border-radius: 3px; overflow: hidden; } .bar i { flex-basis: 0; }
.bar .won { background: var(--c0); } .bar .tied { background: var(--rule); }
.bar .lost { background: repeating-linear-gradient(135deg, var(--soft) 0 2px, transparent 2px 5px); }
${eachColour((i) => `.c${i} .won { background: var(--c${i}); }`)}

.samples { display: grid; gap: 28px; margin: 16px 0; }
.card { table-layout: fixed; break-inside: avoid; }
.card caption { text-align: left; font-weight: 600; padding: 8px 12px; background: var(--panel); border-radius: 6px; overflow-wrap: anywhere; }
.card .expected { font-weight: 400; color: var(--soft); margin-left: 10px; }
.card caption .long { display: block; font-weight: 400; }
.card .expected.long { margin: 6px 0 0; }
.card th:first-child { width: 6.5rem; padding-left: 12px; }
.card tbody th { color: var(--soft); font-size: 0.9rem; overflow-wrap: anywhere; }
.card td { overflow-wrap: anywhere; }
.text { white-space: pre-wrap; }
.reward { float: right; margin-left: 10px; font-size: 0.85rem; line-height: 1.8; color: var(--soft); font-variant-numeric: tabular-nums; }
.verdict { font-weight: 700; margin-right: 8px; } .right { color: var(--good); } .wrong { color: var(--bad); }

details { margin: 10px 0; } summary { cursor: pointer; overflow-wrap: anywhere; }
pre { background: var(--panel); border-radius: 6px; padding: 12px 14px; margin: 8px 0 16px; font: 0.82rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace;
  white-space: pre-wrap; overflow-wrap: anywhere; }
table.facts { width: auto; } table.facts th { color: var(--soft); } table.facts td { overflow-wrap: anywhere; }

@media (max-width: 640px) {
  body { font-size: 15px; } main { padding: 24px 16px 48px; } h1 { font-size: 1.6rem; } h2 { margin-top: 40px; }
  th, td { padding-right: 10px; } .comparison th small, .comparison td small { display: block; }
  .number { white-space: normal; } .comparison, .runs { font-size: 0.88rem; }
  .card, .card tbody, .card tr, .card td, .card caption { display: block; } .card thead { display: none; }
  .card tbody th { display: block; width: auto !important; padding: 10px 0 2px; font-weight: 700; border: 0; }
  .card td { padding: 4px 0 6px; } .card td::before { content: attr(data-variant) ': '; color: var(--soft); } .card .expected { display: block; margin-left: 0; }
  .plot text { font-size: 14px !important; }
}
@media print {
  .bar { print-color-adjust: exact; }
  :root { color-scheme: light; ${customProperties({ ...palettes.light, text: '#000', soft: '#444', rule: '#ccc' })} }
  body { font-size: 10.5pt; } main { max-width: none; padding: 0; } nav, .save, .skip { display: none; } .plot text { font-size: 12px !important; }
  .tasks, .comparison, .runs { font-size: 8pt; } .tasks td, .tasks th.number { padding-left: 4px; padding-right: 4px; }
  .scroll th, .scroll td { padding-right: 6px; } thead th { font-size: 7.5pt; } .scroll .number, .scroll small { white-space: normal; }
  .charts { grid-template-columns: 1fr 1fr; gap: 18px 24px; } h2, h3 { break-after: avoid; } tr { break-inside: avoid; } .scroll { overflow: visible; }
}
`;
