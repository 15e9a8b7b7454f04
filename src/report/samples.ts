import { isRight } from '../evaluation/exact-match.ts';
import type { PipelineFolder, RecordedNode } from '../runs/pipeline-folder.ts';
import type { ResultRow, Sample } from '../runs/results.ts';
import { type Fragment, html, type Markup } from './html.ts';

/** What each variant made of one prompt after each stage. */
interface PromptHistory {
  prompt: string;
  expected?: string;
  byStage: Map<string, Map<string, Sample>>;
}

const shownAtOnce = 6;
/** Characters shown of a text, and up to which an expected text is an answer to be met and not one way to go on. */
const longestText = 600;
const longestAnswer = 60;

/** Answers to the prompts of the run after each stage, variants side by side. Of several seeds the first is shown. */
export function sampleTables(folder: PipelineFolder, variants: readonly string[]): Fragment {
  const histories = promptHistories(folder);
  if (histories.length === 0) return undefined;
  const [shown, folded] = [histories.slice(0, shownAtOnce), histories.slice(shownAtOnce)];
  return html`<div class="samples">${shown.map((history) => promptCard(history, variants))}</div>
${folded.length > 0 && html`<details><summary>${folded.length} more prompt${folded.length > 1 && 's'}</summary><div class="samples">${folded.map((history) => promptCard(history, variants))}</div></details>`}`;
}

/** From the compare stage; for stages that it has no samples of, the last ones drawn while they ran. */
function promptHistories({ nodes, results }: PipelineFolder): PromptHistory[] {
  const compared = results.filter(({ samples }) => samples.length > 0);
  const stages = new Set(compared.map(({ stage }) => stage));
  const drawn = nodes.filter(({ stage, samples }) => samples.length > 0 && !stages.has(stage));
  const rows = [...compared, ...drawn.map(unjudged)];
  const order = [...new Set(nodes.map(({ stage }) => stage))];
  rows.sort((a, b) => order.indexOf(a.stage) - order.indexOf(b.stage) || (a.seed ?? 0) - (b.seed ?? 0));
  const histories = new Map<string, PromptHistory>();
  for (const { stage, variant = 'shared', samples } of rows) {
    for (const sample of samples) addSample(histories, stage, variant, sample);
  }
  return [...histories.values()].sort((a, b) => b.byStage.size - a.byStage.size || turnsOf(b) - turnsOf(a));
}

/** How often an answer turns from wrong to right or back between two stages. */
function turnsOf({ byStage }: PromptHistory): number {
  const verdicts = new Map<string, boolean[]>();
  for (const [variant, sample] of [...byStage.values()].flatMap((row) => [...row])) {
    if (isJudged(sample)) verdicts.set(variant, [...(verdicts.get(variant) ?? []), isRight(sample)]);
  }
  return [...verdicts.values()]
    .map((list) => list.filter((verdict, i) => i > 0 && verdict !== list[i - 1]).length)
    .reduce((a, b) => a + b, 0);
}

/** What a stage draws while it runs may be the middle of a text, which has no right continuation. */
function unjudged({
  stage,
  variant,
  seed,
  samples,
}: RecordedNode): Pick<ResultRow, 'stage' | 'variant' | 'seed' | 'samples'> {
  return { stage, variant, seed, samples: samples.map(({ expected, ...sample }) => sample) };
}

function addSample(histories: Map<string, PromptHistory>, stage: string, variant: string, sample: Sample): void {
  const history: PromptHistory = histories.get(sample.prompt) ?? { prompt: sample.prompt, byStage: new Map() };
  history.expected ??= sample.expected;
  const row = history.byStage.get(stage) ?? new Map<string, Sample>();
  if (!row.has(variant)) row.set(variant, sample);
  history.byStage.set(stage, row);
  histories.set(sample.prompt, history);
}

function promptCard({ prompt, expected, byStage }: PromptHistory, variants: readonly string[]): Markup {
  const columns = variants.some((variant) => [...byStage.values()].some((row) => row.has(variant)))
    ? variants
    : ['shared'];
  return html`<table class="card">
<caption><bdi class="text${isLong(prompt) && ' long'}">${clipped(prompt.trim())}</bdi>${expected !== undefined && html` <span class="expected${(isLong(prompt) || isLong(expected)) && ' long'}">expected: <bdi>${clipped(expected)}</bdi></span>`}</caption>
<thead><tr><th scope="col">After</th>${columns.map((name, i) => html`<th scope="col" class="c${i}"><i class="key"></i>${name}</th>`)}</tr></thead>
<tbody>${[...byStage].map(
    ([stage, row]) =>
      html`<tr><th scope="row">${stage}</th>${columns.map((variant) => html`<td data-variant="${variant}">${completion(row.get(variant))}</td>`)}</tr>`,
  )}</tbody>
</table>`;
}

/** Too long to be set like a heading. */
const isLong = (prompt: string): boolean => prompt.length > 140 || prompt.trim().includes('\n');

function completion(sample: Sample | undefined): Markup {
  if (!sample) return html`<span class="missing">not run</span>`;
  const text = sample.completion.trim();
  return html`${reward(sample)}${verdict(sample)}<bdi class="text">${text === '' ? html`<span class="missing">(nothing)</span>` : clipped(text)}</bdi>`;
}

/** A long expected text is one of many ways to go on, not an answer to be met. */
const isJudged = ({ expected }: Sample): boolean => expected !== undefined && expected.length <= longestAnswer;

function verdict(sample: Sample): Fragment {
  if (!isJudged(sample)) return undefined;
  return isRight(sample)
    ? html`<span class="verdict right" role="img" aria-label="right">✓</span>`
    : html`<span class="verdict wrong" role="img" aria-label="wrong">✗</span>`;
}

function reward({ reward }: Sample): Fragment {
  if (reward === undefined) return undefined;
  const size = Math.abs(reward).toFixed(1);
  const sign = Number(size) === 0 ? '±' : reward < 0 ? '−' : '+';
  return html`<span class="reward" aria-label="reward ${reward.toFixed(1)}">${sign}${size}</span>`;
}

function clipped(text: string): string {
  const characters = [...text];
  const rest = characters.length - longestText;
  return rest > 0 ? `${characters.slice(0, longestText).join('')} … (${rest} more characters)` : text;
}
