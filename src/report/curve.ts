import type { MetricKind } from '../evaluation/metrics.ts';

export type Point = readonly [x: number, y: number];
export type Range = readonly [lowest: number, highest: number];

/** One line, or one set of joined dots. */
export interface Curve {
  /** What the legend calls it: its variant. */
  name: string;
  /** Place of its variant in the palette. */
  colour: number;
  /** What sets it apart from others of its name, such as `held out` or its seed; for the tooltip. */
  detail?: string;
  /** `faint`: many noisy points; `line`: a line; `light`: the second of a pair; `dots`: few measurements, joined. */
  mark: 'faint' | 'line' | 'light' | 'dots';
  /** How strong it is drawn, 0 to 1, in place of what the mark says. */
  opacity?: number;
  /** Not in the tooltip, because another curve stands for it. */
  background?: boolean;
  /** A value that is not finite is a gap. */
  points: readonly Point[];
  /** Standard deviation of each point over the seeds, drawn as a whisker. */
  deviations?: readonly (number | undefined)[];
  /** Lowest and highest value of each point over the seeds, drawn as a band. */
  band?: readonly Range[];
}

export interface LineChart {
  title: string;
  /** What it belongs to, such as a stage; for the name of its files. */
  group?: string;
  /** How to read the marks, where that is not plain. */
  note?: string;
  /** What the picture shows, in a sentence, for those who do not see it. */
  description: string;
  xLabel: string;
  /** Whether x is measured, and not counted from 0. */
  isMeasuredX?: boolean;
  curves: readonly Curve[];
  /** In place of numbers, names under 0, 1, 2 … */
  categories?: readonly string[];
  /** How values are written, and whether they may stand on a logarithmic axis. */
  kind: MetricKind;
}
