import type { Condition, Facts } from '../config/conditions.ts';
import type { Path } from '../config/yaml-file.ts';
import type { Problem } from '../errors.ts';
import type { Contents } from './contents.ts';
import { type Pipeline, problemAt } from './pipeline-file.ts';
import { idleKeys, type StageKeys } from './stage-config.ts';

/** A key that was written for a version of a stage but has no effect there. */
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

/** Whether the stage's data has held-out rows. Only checked if it makes a difference to any key; otherwise true. */
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
 * The problems of keys that have no effect in any variant that uses them from the same place. A key is accepted if what
 * makes it idle was written in a later layer: in a variant over the stage, or by `--set`.
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

/** The layer in which a path was written; later layers override earlier ones: stage, variant, `--set`. */
function layerOf({ place }: Pipeline, path: Path | undefined): number {
  if (path === undefined) return 0;
  if (place.origin(path) === '--set') return 3;
  return path[0] === 'variants' ? 2 : 1;
}
