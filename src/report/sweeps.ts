import { type MetricKind, metricKind } from '../evaluation/metrics.ts';
import { inWords, type Tried, triedValues } from '../evaluation/sweep-choice.ts';
import type { RecordedSweep } from '../runs/pipeline-folder.ts';
import { spread } from './comparison.ts';
import type { Curve, Point } from './curve.ts';
import { formatCount, formatMetric, formatSeconds } from './format.ts';
import { type Fragment, html, type Markup } from './html.ts';
import { lineChart } from './line-chart.ts';

/** Share of what training gains with the chosen value that a tolerated one may lose. */
const tolerance = 0.02;

/** For each stage with a sweep, the metric against the values of each key (the U-curve), and what was decided. */
export function sweepSections(sweeps: readonly RecordedSweep[], variants: readonly string[]): Fragment[] {
  return [...new Set(sweeps.map(({ stage }) => stage))].map((stage) => {
    const own = sweeps.filter((sweep) => sweep.stage === stage);
    const keys = [...new Set(own.flatMap(({ trials }) => trials.flatMap(({ values }) => Object.keys(values))))];
    const charts = keys.map((key) => sweepChart(key, own, variants));
    return html`<h3>${stage}</h3>\n<div class="charts">${charts}</div>\n${sweepTable(own)}`;
  });
}

/** Which values the stages ran with, a sentence a stage. */
export function sweepSentences(sweeps: readonly RecordedSweep[]): string[] {
  return [...new Set(sweeps.map(({ stage }) => stage))].map((stage) => {
    const own = sweeps.filter((sweep) => sweep.stage === stage);
    const said = own.map(({ variant, chosen, problem }) => {
      const values = chosen ? inWords(chosen) : problem ? 'nothing' : 'nothing yet';
      return variant === undefined ? values : `${values} for ${variant}`;
    });
    return `The sweep of ${stage} chose ${said.join(', ')}.`;
  });
}

/** A value of a key with its best result over the values of all other keys. */
interface Place {
  value: unknown;
  tried: Tried;
  mean: number;
  deviation: number | undefined;
}

function placesOf(key: string, { trials, better }: RecordedSweep): Place[] {
  const tried = triedValues(trials, { better }).filter((one) => one.trials.every(({ end }) => end !== undefined));
  const values = [...new Set(tried.map((one) => one.values[key]))];
  return values.map((value) => {
    const own = tried.filter((one) => one.values[key] === value);
    const worth = ({ mean }: Tried) =>
      Number.isNaN(mean) ? Number.POSITIVE_INFINITY : better === 'lower' ? mean : -mean;
    const best = own.reduce((a, b) => (worth(b) < worth(a) ? b : a));
    const { deviation } = spread(best.trials.map(({ end = Number.NaN }) => end));
    return { value, tried: best, mean: best.mean, deviation };
  });
}

/**
 * Values stand at equal distances in their order: rates are tried in equal ratios, so that this is a logarithmic axis.
 */
function sweepChart(key: string, sweeps: readonly RecordedSweep[], variants: readonly string[]): Markup {
  const places = sweeps.map((sweep) => ({ sweep, places: placesOf(key, sweep) }));
  const all = [...new Set(places.flatMap((own) => own.places.map(({ value }) => value)))];
  const order = all.every((value) => typeof value === 'number') ? all.sort((a, b) => a - b) : all;
  const kind = kindOf(sweeps[0]!);
  const curves = places.map(({ sweep, places }): Curve => {
    const sorted = places.map((place) => ({ ...place, x: order.indexOf(place.value) })).sort((a, b) => a.x - b.x);
    return {
      name: sweep.variant ?? 'shared',
      colour: Math.max(0, variants.indexOf(sweep.variant ?? 'shared')),
      mark: 'dots',
      points: sorted.map(({ x, mean }): Point => [x, mean]),
      deviations: sorted.map(({ deviation }) => deviation),
    };
  });
  const failed = places.flatMap((own) => own.places.flatMap(({ value, mean }) => (Number.isNaN(mean) ? [value] : [])));
  const title = `${kind.label[0]!.toUpperCase()}${kind.label.slice(1)} by ${key}`;
  const chosen = sweeps.flatMap(({ variant = 'all', chosen }) => (chosen ? [`${chosen[key]} for ${variant}`] : []));
  return lineChart({
    title,
    group: sweeps[0]!.stage,
    note: `held out, mean over the seeds${failed.length > 0 ? '; ×: not usable for a variant' : ''}`,
    description: `${title}, of the values that were tried; chosen: ${chosen.join(', ') || 'none'}.`,
    xLabel: key,
    categories: order.map((value) => (failed.includes(value) ? `${value} ×` : `${value}`)),
    curves,
    kind,
  });
}

const kindOf = ({ metric }: RecordedSweep): MetricKind => metricKind(`held out/${metric}`);

/** One row a variant, with what its sweep has spent: it is not part of the budgets of the stage itself. */
function sweepTable(sweeps: readonly RecordedSweep[]): Markup {
  const kind = kindOf(sweeps[0]!);
  return html`<div class="scroll" role="region" aria-label="Sweeps" tabindex="0"><table class="runs">
<thead><tr><th scope="col">Sweep</th><th scope="col">Chosen</th><th scope="col" class="number">${kind.label}</th><th scope="col">Tolerated</th><th scope="col">Failed</th>
<th scope="col" class="number">Runs</th><th scope="col" class="number">Steps</th><th scope="col" class="number">Tokens</th><th scope="col" class="number">Time</th></tr></thead>
<tbody>${sweeps.map((sweep) => sweepRow(sweep, kind))}</tbody>
</table></div>
<p class="soft">Tolerated: the values around the chosen one that lose at most ${100 * tolerance} % of what training gains with it. Failed: training diverged, stayed on a plateau, or ended no better than it began. Steps and tokens are of the runs that did not diverge.</p>`;
}

function sweepRow(sweep: RecordedSweep, kind: MetricKind): Markup {
  const { id, trials, better, chosen, problem } = sweep;
  const tried = triedValues(trials, { better });
  const best = tried.find(({ values }) => chosen && inWords(values) === inWords(chosen));
  const failed = tried.filter((one) => one.failed > 0);
  const ended = trials.filter(({ end }) => end !== undefined);
  const finished = ended.filter(({ end }) => Number.isFinite(end));
  const spent = (key: 'steps' | 'tokens') =>
    finished.every(({ budget }) => budget)
      ? formatCount(finished.reduce((sum, { budget }) => sum + budget![key], 0))
      : 'not recorded';
  const seconds = trials.reduce((sum, trial) => sum + trial.seconds, 0);
  return html`<tr><th scope="row">${id}</th>
<td>${chosen ? inWords(chosen) : (problem ?? 'not decided yet')}</td><td class="number">${best ? formatMetric(best.mean, kind) : '–'}</td>
<td>${
    Object.keys(chosen ?? {})
      .map((key) => toleratedRange(key, sweep))
      .join('; ') || '–'
  }</td>
<td>${failed.length === 0 ? 'none' : failed.map((one) => `${inWords(one.values)} (${one.failed} of ${one.trials.length})`).join('; ')}</td>
<td class="number">${ended.length < trials.length ? `${ended.length} of ${trials.length}` : trials.length}</td>
<td class="number">${spent('steps')}</td><td class="number">${spent('tokens')}</td>
<td class="number">${formatSeconds(seconds)}</td></tr>`;
}

/** `0.002 to 0.008` */
function toleratedRange(key: string, sweep: RecordedSweep): string {
  const { chosen = {}, trials, better } = sweep;
  const places = placesOf(key, sweep);
  if (!places.every(({ value }) => typeof value === 'number')) return '–';
  const sorted = places.map(({ value, mean }) => ({ value: Number(value), mean })).sort((a, b) => a.value - b.value);
  const at = sorted.findIndex(({ value }) => value === chosen[key]);
  const starts = trials.flatMap(({ start }) => (start !== undefined && Number.isFinite(start) ? [start] : []));
  if (at < 0 || starts.length === 0) return '–';
  const best = sorted[at]!.mean;
  const gain = Math.abs(spread(starts).mean - best);
  const isTolerated = ({ mean }: { mean: number }) =>
    (better === 'lower' ? mean - best : best - mean) <= tolerance * gain;
  let [low, high] = [at, at];
  while (low > 0 && isTolerated(sorted[low - 1]!)) low--;
  while (high < sorted.length - 1 && isTolerated(sorted[high + 1]!)) high++;
  return low === high ? `${sorted[low]!.value}` : `${sorted[low]!.value} to ${sorted[high]!.value}`;
}
