import type { Analysis } from './analysis.ts';
import { angular } from './angular.ts';
import { attentionEntropy } from './attention-entropy.ts';
import { effectiveRank } from './effective-rank.ts';
import { exchange } from './exchange.ts';
import { exits } from './exits.ts';
import { gradients } from './gradients.ts';
import { outliers } from './outliers.ts';
import { removal } from './removal.ts';
import { streamRms } from './stream-rms.ts';
import { updates } from './updates.ts';

/** What `analyze` measures layer by layer, by its key in the result. A new analysis is one file and one line here. */
export const analyses = {
  streamRms,
  angular,
  effectiveRank,
  outliers,
  attentionEntropy,
  removal,
  exchange,
  exits,
  gradients,
  updates,
};

/** What each analysis has found. */
export type Findings = {
  [Name in keyof typeof analyses]: (typeof analyses)[Name] extends Analysis<infer Found> ? Found : never;
};

/** A number of the embedding and of each layer, [layers + 1]; undefined where there is none. */
export interface DepthProfile {
  label: string;
  meaning: string;
  values: readonly (number | undefined)[];
}

/** One profile of each analysis, for tables and charts; none of what is missing or of another form. */
export function profilesOf(findings: Readonly<Record<string, unknown>>): DepthProfile[] {
  return Object.entries<Analysis<unknown>>(analyses).flatMap(([name, { label, meaning, found, perLayer }]) => {
    const { success, data } = found.safeParse(findings[name]);
    const values = success ? perLayer(data) : [];
    return values.length > 0 ? [{ label, meaning, values }] : [];
  });
}
