import { metricKind } from '../evaluation/metrics.ts';
import type { NumericRecord, RecordedNode } from '../runs/pipeline-folder.ts';
import { isJudgedApart } from './comparison.ts';
import type { Curve, Point } from './curve.ts';
import type { Markup } from './html.ts';
import { lineChart } from './line-chart.ts';

/** Dots of a line: each the mean over as many iterations. */
const dots = 12;

/**
 * What a stage that learns from rewards has paid for them: the reward of its samples against their KL to the reference,
 * iteration by iteration, in the mean over the seeds. Nothing of a stage that records no KL.
 */
export function frontierChart(
  stage: string,
  all: readonly RecordedNode[],
  variants: readonly string[],
): Markup | undefined {
  const nodes = all.filter((node) => node.stage === stage);
  const curves = variants.flatMap((name, colour): Curve[] => {
    const own = nodes.filter((node) => (node.variant ?? 'shared') === name);
    const points = frontier(own.flatMap(({ steps }) => steps));
    return points.length > 1 ? [{ name, colour, mark: 'dots', points }] : [];
  });
  if (curves.length === 0) return undefined;
  const kind = metricKind('reward');
  const apart = variants.length > 1 && isJudgedApart('held out/reward', nodes, all);
  return lineChart({
    title: 'Reward against KL',
    group: stage,
    note: `each dot is the mean of a run of iterations, joined in their order${apart ? '; each on a scale of its own' : ''}`,
    description: `Reward against the KL to the reference: ${curves.map(ends).join('; ')}.`,
    xLabel: 'KL to the reference',
    isMeasuredX: true,
    curves,
    kind,
  });
}

function frontier(records: readonly NumericRecord[]): Point[] {
  const measured = records.flatMap(({ step, kl, reward }) =>
    step === undefined || kl === undefined || reward === undefined ? [] : [{ step, kl, reward }],
  );
  const last = measured.reduce((most, { step }) => Math.max(most, step), 0);
  return Array.from({ length: dots }, (_, dot) => {
    const own = measured.filter(({ step }) => Math.floor(((step - 1) * dots) / last) === dot);
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    return [mean(own.map(({ kl }) => kl)), mean(own.map(({ reward }) => reward))] as const;
  }).filter(([kl]) => !Number.isNaN(kl));
}

const ends = ({ name, points }: Curve): string => {
  const [first, last] = [points[0]!, points.at(-1)!].map(([kl, reward]) => `${reward.toFixed(2)} at ${kl.toFixed(2)}`);
  return `${name} from ${first} to ${last}`;
};
