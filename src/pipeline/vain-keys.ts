import type { Condition, Facts } from '../config/conditions.ts';
import type { Path } from '../config/yaml-file.ts';
import type { Problem } from '../errors.ts';
import type { Contents } from './contents.ts';
import { type Pipeline, problemAt } from './pipeline-file.ts';
import { idleKeys, type StageKeys } from './stage-config.ts';

/** A key that a version of a stage was given and that has no effect there. */
export interface Vain {
  version: StageKeys;
  key: string;
  condition: Condition;
}

export function vainKeys(version: StageKeys, facts: Facts): Vain[] {
  const { stage, written, config } = version;
  if (Object.keys(config).length === 0) return [];
  return [...idleKeys(stage, written, config, facts)].map(([key, condition]) => ({ version, key, condition }));
}

/** Whether rows of the stage's data are held out; not looked for where no key asks for them. */
export async function hasHeldOut(
  { stage, written, config, datasets }: StageKeys,
  contents: Contents,
): Promise<boolean> {
  const data = datasets.find(({ key }) => key === 'data');
  const counts = (heldOut: boolean): number => idleKeys(stage, written, config, { heldOut }).size;
  if (!data || counts(true) === counts(false)) return true;
  return contents.hasHeldOut(data.source, data.use, Number(config.holdOut ?? 0));
}

/**
 * A key of a stage is in vain where no variant that has it from there makes use of it. It is not refused where
 * something that was written over the stage makes it idle: a variant, or `--set`.
 */
export function vainProblems(pipeline: Pipeline, vain: readonly Vain[], versions: readonly StageKeys[]): Problem[] {
  const pathIn = ({ paths }: StageKeys, key: string) => paths[key]?.join('.');
  return vain.flatMap(({ version, key, condition }): Problem[] => {
    const path = version.paths[key]!;
    const sharing = versions.filter((other) => pathIn(other, key) === path.join('.'));
    const isIdle = (other: StageKeys) => vain.some((found) => found.version === other && found.key === key);
    const layer = layerOf(pipeline, path);
    const isOverridden = condition.keys.some((other) => layerOf(pipeline, version.paths[other]) > layer);
    if (isOverridden || !sharing.every(isIdle)) return [];
    const message = `has no effect ${condition.otherwise(version.config)}`;
    return [problemAt(pipeline, path, message, `leave it out, or ${condition.remedy}`)];
  });
}

/** What is written later counts more: the stage, then the variant, then `--set`. */
function layerOf({ place }: Pipeline, path: Path | undefined): number {
  if (path === undefined) return 0;
  if (place.origin(path) === '--set') return 3;
  return path[0] === 'variants' ? 2 : 1;
}
