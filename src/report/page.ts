import { readFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { packageFile } from '../files.ts';
import type { PipelineFolder, RecordedNode } from '../runs/pipeline-folder.ts';
import { angleMaps } from './angle-maps.ts';
import { budgetSentences, budgetTable } from './budgets.ts';
import { chartScript } from './chart-script.ts';
import { compareStages, variantsOf } from './comparison.ts';
import { comparisonTable } from './comparison-table.ts';
import { depthSections, gradientSections } from './depth-charts.ts';
import { formatCount } from './format.ts';
import { type Fragment, html, jsonScript, Markup, script } from './html.ts';
import { palettes } from './palette.ts';
import { publishedTables } from './published.ts';
import { remarkList } from './remarks.ts';
import { configs, formatBytes, runsTable, variantSettings } from './runs-table.ts';
import { sampleTables } from './samples.ts';
import { stabilityNotes } from './stability.ts';
import { stageCharts } from './stage-charts.ts';
import { progressCharts } from './stage-progress.ts';
import { style } from './style.ts';
import { summarise } from './summary.ts';
import { sweepSections, sweepSentences } from './sweeps.ts';
import { taskTable } from './task-table.ts';
import { type Opponents, winRateCharts } from './win-rates.ts';

/** The whole page; what it says of versions and machine is of the process that makes it. */
export async function reportPage(folder: PipelineFolder): Promise<Markup> {
  const about = await facts(folder);
  const variants = variantsOf(folder);
  const comparisons = compareStages(folder);
  const sentences = [
    ...summarise(comparisons, folder.nodes, variants),
    ...sweepSentences(folder.sweeps),
    ...budgetSentences(folder.nodes),
  ];
  const title = `${folder.name}: ${titleOf(variants)}`;
  const depth = [
    ...depthSections(folder.results, variants),
    ...angleMaps(folder.results, variants),
    ...gradientSections(folder.nodes, variants),
  ];
  const sections: [id: string, heading: string, body: Fragment][] = [
    [
      'results',
      'Results',
      comparisons.length > 0 && [
        taskTable(comparisons, variants),
        comparisonTable(comparisons, variants),
        remarkList(folder.results),
        publishedTables(folder.published, comparisons, variants),
        winRateCharts(comparisons, variants, opponentsIn(folder)),
        progressCharts(comparisons, variants),
      ],
    ],
    ['training', 'Training', stageSections(folder.nodes, variants)],
    ['depth', 'Depth', depth],
    ['sweeps', 'Sweeps', sweepSections(folder.sweeps, variants)],
    ['samples', 'Samples', sampleSection(folder, variants)],
    ['runs', 'Runs', [runsTable(folder.nodes), budgetTable(folder.nodes)]],
    ['reproduce', 'Reproduce', reproduceSection(folder, about)],
  ];
  const shown = sections.filter(([, , body]) => body && !(Array.isArray(body) && body.length === 0));
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>${title}</title>
<style>${new Markup(style)}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>
<main id="main">
<h1>${title}</h1>
<p class="soft">${[startedAt(folder.nodes), backends(folder.nodes)].filter(Boolean).join(' · ')}</p>
<div class="lead">${sentences.length > 0 ? sentences.map((sentence) => html`<p>${sentence}</p>`) : depth.length === 0 && html`<p>Nothing has been measured yet.</p>`}</div>
${variantList(folder.nodes, variants)}
<nav aria-label="Sections">${shown.map(([id, heading]) => html`<a href="#${id}">${heading}</a>`)}</nav>
${shown.map(([id, heading, body]) => html`<section aria-labelledby="${id}"><h2 id="${id}">${heading}</h2>\n${body}</section>\n`)}
</main>
${jsonScript(palettes.light, 'palette')}
${script(chartScript)}
</body>
</html>
`;
}

function opponentsIn({ results }: PipelineFolder): Opponents {
  return {
    stage: results.find(({ against }) => against)?.against,
    variant: results.find(({ againstVariant }) => againstVariant)?.againstVariant,
  };
}

function titleOf(variants: readonly string[]): string {
  if (variants.length < 2) return 'training report';
  return variants.length === 2
    ? variants.join(' against ')
    : `${variants.slice(0, -1).join(', ')} and ${variants.at(-1)}`;
}

function variantList(nodes: readonly RecordedNode[], variants: readonly string[]): Fragment {
  const settings = variantSettings(nodes, variants);
  if (variants.length < 2) return undefined;
  return html`<dl class="variants">${variants.map(
    (variant, i) => html`<dt class="c${i}"><i class="key"></i>${variant}</dt><dd>${settings.get(variant)}</dd>`,
  )}</dl>`;
}

function stageSections(nodes: readonly RecordedNode[], variants: readonly string[]): Fragment[] {
  return [...new Set(nodes.map(({ stage }) => stage))].flatMap((stage) => {
    const charts = stageCharts(stage, nodes, variants);
    return charts ? [html`<h3>${stage}</h3>${stabilityNotes(stage, nodes, variants)}${charts}`] : [];
  });
}

function sampleSection(folder: PipelineFolder, variants: readonly string[]): Fragment {
  const tables = sampleTables(folder, variants);
  const seeds = new Set(folder.nodes.flatMap(({ seed }) => (seed === undefined ? [] : [seed])));
  return (
    tables &&
    html`<p class="soft">The same prompts after each stage${seeds.size > 1 && ', of the first seed'}. Where the correct answer is known, ✓ marks a completion that equals it${folder.results.some(({ samples }) => samples.some(({ reward }) => reward !== undefined)) && '; the number at the right is its reward by the judge of the variant, 0 is the mean over the preferred answers that the judge was trained on'}. Prompts whose answers change from wrong to right or back come first, so this is not a representative sample.</p>${tables}`
  );
}

function reproduceSection(
  { arguments: words, nodes }: PipelineFolder,
  about: readonly (readonly [string, string])[],
): Markup {
  return html`<pre>mixtune ${words.map(quoted).join(' ')}</pre>
<table class="facts"><tbody>${about.map(([label, value]) => html`<tr><th scope="row">${label}</th><td>${value}</td></tr>`)}</tbody></table>
<h3>Resolved configurations</h3>
${configs(nodes)}`;
}

/** A word as a POSIX shell reads it back. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function startedAt(nodes: readonly RecordedNode[]): string {
  const times = nodes.flatMap(({ start }) => (typeof start.time === 'string' ? [start.time] : [])).sort();
  return times[0] ? `Started ${times[0].replace('T', ' ').replace(/(:\d\d)(\.\d+)?Z$/, '$1 UTC')}` : 'Not started';
}

const backends = (nodes: readonly RecordedNode[]): string =>
  [...new Set(nodes.flatMap(({ start }) => (typeof start.backend === 'string' ? [start.backend] : [])))].join('; ');

/** Versions and machine: of the run where its records tell, else of the process that writes the report. */
async function facts({ nodes }: PipelineFolder): Promise<[string, string][]> {
  const { version } = JSON.parse(await readFile(packageFile('package.json'), 'utf8')) as { version: string };
  const counts = nodes.map(({ start, result }) => Number(start.parameters ?? result.parameters ?? 0));
  const parameters = [...new Set(counts.filter((count) => count > 0))].map(formatCount);
  const processors = cpus();
  return [
    ['mixtune', version],
    ['Node', process.version],
    ['Backend', backends(nodes) || 'none used yet'],
    ['Parameters', parameters.join('; ') || 'none trained yet'],
    [
      'Machine',
      `${processors.length} × ${processors[0]?.model ?? 'unknown processor'}, ${formatBytes(totalmem())} memory, ${process.platform} ${process.arch}`,
    ],
  ];
}
