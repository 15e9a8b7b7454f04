import { type Problem, RequestError } from '../errors.ts';
import { type Pipeline, problemAt } from './pipeline-file.ts';
import type { StageVersion } from './stage-versions.ts';

/** How a stage spreads over variants and seeds. */
export interface Spread {
  variants: readonly (string | undefined)[];
  seeds: readonly number[];
}

/** By stage. */
type Spreads = ReadonlyMap<string, Spread>;

/** How a stage spreads, by what the stages that it reads spread over. */
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

/** The stages of which it reads the result of its own variant and seed, each with the key that names it. */
function stagesRead({ stage, references }: StageVersion): { key: string; name: string }[] {
  return Object.entries(references).flatMap(([key, named]) =>
    stage.inputs[key]?.many
      ? []
      : named.flatMap((reference) => ('stage' in reference ? [{ key, name: reference.stage }] : [])),
  );
}

/** @throws RequestError where a stage with a seed of its own reads one that has no result of that seed */
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
