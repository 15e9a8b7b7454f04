import { flagName } from '../config/flags.ts';
import type { Path } from '../config/yaml-file.ts';
import type { Stage } from '../stages/stage.ts';
import type { Pipeline } from './pipeline-file.ts';
import { makePlan, type PlanNode, type PlanOptions } from './plan.ts';

/** The node of a stage that runs alone in its own folder, with keys given as flags and directories as inputs. */
export async function makeSingleNode(
  stage: Stage,
  flags: Readonly<Record<string, unknown>>,
  { seed, ...options }: PlanOptions & { seed: number },
): Promise<PlanNode> {
  const flagOf = (path: Path) => `--${flagName(String(path.at(2) ?? path.at(-1)))}`;
  const pipeline: Pipeline = {
    name: stage.name,
    file: `mixtune ${stage.name}`,
    seeds: [seed],
    parameters: {},
    variants: {},
    published: [],
    stages: { [stage.name]: { run: stage.name, ...flags, ...directoriesOf(stage, flags) } },
    place: { where: flagOf, origin: flagOf },
  };
  const [node] = (await makePlan(pipeline, options)).nodes;
  return { ...node!, job: { ...node!.job, id: stage.name, directory: options.directory } };
}

/** Input directories turned into paths, because a bare name cannot mean a stage here. */
function directoriesOf(stage: Stage, flags: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const path = (value: unknown) => (typeof value === 'string' && /^[\w-]/.test(value) ? `./${value}` : value);
  return Object.fromEntries(
    Object.keys(stage.inputs)
      .filter((key) => key in flags)
      .map((key) => [key, Array.isArray(flags[key]) ? flags[key].map(path) : path(flags[key])]),
  );
}
