import type { RecordedNode } from '../runs/pipeline-folder.ts';
import { describeInstability, type Instability, instabilities, lossCurveOf, slowness } from '../training/stability.ts';
import { formatNumber } from './format.ts';
import { type Fragment, html, type Markup } from './html.ts';

/** What is wrong with the losses of a stage's runs, and the learning rates that ramps of them show to be tolerated. */
export function stabilityNotes(stage: string, all: readonly RecordedNode[], variants: readonly string[]): Fragment {
  const nodes = all.filter((node) => node.stage === stage && entropyOf(node) !== undefined);
  const ramps = nodes.filter(isRamp);
  const notes = nodes
    .filter((node) => !ramps.includes(node))
    .flatMap((node) =>
      notesOn(node, nodes, variants[0]).map((note) => html`<p class="warning">${nameOf(node)}: ${note}.</p>`),
    );
  return notes.length + ramps.length > 0 && [...notes, ramps.length > 0 && toleratedRates(ramps)];
}

const entropyOf = ({ start }: RecordedNode): number | undefined =>
  typeof start.unigramEntropy === 'number' ? start.unigramEntropy : undefined;

const nameOf = ({ variant = 'shared', seed }: RecordedNode): string =>
  seed === undefined ? variant : `${variant}, seed ${seed}`;

function troublesOf(node: RecordedNode): Instability[] {
  const totalSteps = node.steps.at(-1)?.totalSteps;
  return instabilities(lossCurveOf(node.steps), { entropy: entropyOf(node), totalSteps });
}

/** What is said of one run; that it is slow only where it shows nothing else. `first` is the variant it is held to. */
function notesOn(node: RecordedNode, nodes: readonly RecordedNode[], first: string | undefined): string[] {
  const troubles = troublesOf(node);
  const notes = troubles.map(describeInstability);
  const reference = nodes.find(({ variant, seed }) => variant === first && seed === node.seed);
  if (!reference || reference === node || troubles.some(({ kind }) => kind !== 'spike')) return notes;
  const share = slowness(lossCurveOf(node.steps), lossCurveOf(reference.steps));
  if (share === undefined) return notes;
  const slow = share < 0.01 ? 'not at all' : `${(100 * share).toFixed(0)} % as fast as that of ${first}`;
  return [...notes, `over the second half of its steps the loss falls ${slow}`];
}

/** Whether a run's warm-up lasts to its end, as in a test of which learning rates it tolerates. */
function isRamp({ steps }: RecordedNode): boolean {
  const rates = steps.flatMap(({ learningRate }) => learningRate ?? []);
  return (
    rates.length > 0 && rates.at(-1)! > 10 * rates[0]! && rates.every((rate, i) => i === 0 || rate > rates[i - 1]!)
  );
}

/**
 * The protocol of "Post-LayerNorm Is Back" (arXiv 2601.19895): the learning rate rises linearly until the loss
 * diverges, and what it was just before is the rate that is tolerated.
 */
function toleratedRates(ramps: readonly RecordedNode[]): Markup {
  return html`<table class="facts"><caption>Tolerated learning rate: the last before the loss diverges in a linear ramp</caption>
<tbody>${ramps.map((node) => html`<tr><th scope="row">${nameOf(node)}</th><td class="number">${toleratedRate(node)}</td></tr>`)}</tbody></table>`;
}

function toleratedRate(node: RecordedNode): string {
  const failure = troublesOf(node).find(({ kind }) => kind === 'divergence');
  const tolerated = node.steps.findLast(({ step }) => !failure || step! < failure.since);
  const rate = formatNumber(tolerated?.learningRate ?? 0);
  if (failure) return `${rate} (step ${failure.since.toLocaleString('en')})`;
  return node.status === 'failed' ? `${rate} (failed)` : `more than ${rate}`;
}
