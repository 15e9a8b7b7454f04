import { type Problem, RequestError } from '../errors.ts';
import { type Pipeline, problemAt } from './pipeline-file.ts';
import type { StageVersion } from './stage-versions.ts';

/** The variants and seeds that a stage runs for. */
export interface Spread {
  variants: readonly (string | undefined)[];
  seeds: readonly number[];
}

/** By stage. */
type Spreads = ReadonlyMap<string, Spread>;

/** The variants and seeds that a stage runs for, given those of the stages it reads. */
export function spreadOf(own: readonly StageVersion[], spreads: Spreads, pipeline: Pipeline): Spread {
  const read = own.flatMap((version) => stagesRead(version).map(({ name }) => spreads.get(name)!));
  const byVariant =
    own.some(({ variant }) => variant !== undefined) || read.some(({ variants }) => variants[0] !== undefined);
  const bySeed = own.some(({ stage }) => stage.isRandom) || read.some(({ seeds }) => seeds.length > 1);
  const { seed } = pipeline.stages[own[0]!.name]!;
  const seeds = bySeed ? pipeline.seeds : pipeline.seeds.slice(0, 1);
  return {
    variants: byVariant ? Object.keys(pipeline.variants) : [undefined],
    seeds: seed === undefined ? seeds : [seed],
  };
}

/** The stages whose result for the same variant and seed is read, each with the key that names it. */
function stagesRead({ stage, references }: StageVersion): { key: string; name: string }[] {
  return Object.entries(references).flatMap(([key, named]) =>
    stage.inputs[key]?.many
      ? []
      : named.flatMap((reference) => ('stage' in reference ? [{ key, name: reference.stage }] : [])),
  );
}

/** @throws RequestError if a stage with its own seed reads a stage that has no result for that seed */
export function requireSeeds(own: readonly StageVersion[], spreads: Spreads, pipeline: Pipeline): void {
  const { name: reader } = own[0]!;
  const { seed } = pipeline.stages[reader]!;
  if (seed === undefined) return;
  const problems = own.flatMap(stagesRead).flatMap(({ key, name }): Problem[] => {
    const { seeds } = spreads.get(name)!;
    if (seeds.length === 1 || seeds.includes(seed)) return [];
    const message = `\`${key}\` reads \`${name}\`, which runs with the seeds ${seeds.join(', ')}`;
    const hint = `take one of these, or give \`${name}\` a \`seed\` as well`;
    return [problemAt(pipeline, ['stages', reader, 'seed'], message, hint)];
  });
  if (problems.length > 0) throw new RequestError(problems.slice(0, 1), pipeline.file);
}
