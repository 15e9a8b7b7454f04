import type { Condition, Facts } from '../config/conditions.ts';
import { own } from '../config/own.ts';
import { presetValues } from '../config/presets.ts';
import { schemaKeys } from '../config/schema-keys.ts';
import { suggestion } from '../config/suggest.ts';
import { type Place, validate } from '../config/validate.ts';
import type { Path } from '../config/yaml-file.ts';
import type { Problem } from '../errors.ts';
import { metricKind } from '../evaluation/metrics.ts';
import { type Machine, machineSchema } from '../runs/machine.ts';
import type { DatasetSource, Stage } from '../stages/stage.ts';

type Keys = Readonly<Record<string, unknown>>;

export interface StageConfig {
  machine: Machine;
  /** The stage's keys, including the schema's defaults. */
  config: Keys;
}

/** A stage, the keys that were written for it, and the resulting config. */
export interface StageKeys {
  stage: Stage;
  written: Keys;
  /** The resulting keys, including defaults. */
  config: Keys;
  /** Path of each written key in the file. */
  paths: Readonly<Record<string, Path>>;
  datasets: readonly DatasetSource[];
}

/** Validates the keys written for a stage: its own against its schema, the others against the machine's. */
export function resolveStage(
  stage: Stage,
  written: Keys,
  place: Place,
): StageConfig & { problems: readonly Problem[] } {
  const isMachine = (key: string) => Object.hasOwn(machineSchema.shape, key);
  const stageKeys = validate(
    stage.schema,
    pick(written, (key) => !isMachine(key)),
    place,
  );
  const machine = validate(machineSchema, pick(written, isMachine), place);
  const config = isKeys(stageKeys.value) ? stageKeys.value : {};
  return {
    config,
    machine: machine.value ?? machineSchema.parse({}),
    problems: [
      ...stageKeys.problems,
      ...machine.problems,
      ...(stageKeys.problems.length > 0 ? [] : bestProblems(stage, config, place)),
    ],
  };
}

/**
 * The problems of `best`: the metric must be one that the stage measures on held-out rows, and must have a direction.
 */
function bestProblems(stage: Stage, config: Keys, place: Place): Problem[] {
  const { best } = config;
  if (typeof best !== 'string') return [];
  const measured = stage.heldOut?.(config) ?? [];
  const choice = measured.filter((name) => metricKind(name).better !== undefined);
  if (choice.some((name) => name === best)) return [];
  const line = place.line?.(['best']);
  const message = measured.some((name) => name === best)
    ? `\`${best}\` has no better direction`
    : `\`${stage.name}\` measures no \`${best}\` on held-out rows`;
  return [
    { where: place.where(['best']), message, hint: suggestion(best, choice), ...(line === undefined ? {} : { line }) },
  ];
}

/** Written keys that have no effect given the other keys, each with the condition under which it would have one. */
export function idleKeys(stage: Stage, written: Keys, config: Keys, facts: Facts): Map<string, Condition> {
  const values = { ...written, ...config };
  const idle = schemaKeys(stage.schema).flatMap(({ name, condition }): [string, Condition][] =>
    condition && own(written, name) !== undefined && !condition.holds(values, facts) ? [[name, condition]] : [],
  );
  return new Map(idle);
}

/** The new values of keys that `--scale` changes: given keys that determine the work, and effective defaults. */
export function scaledKeys({ schema, presets }: Stage, written: Keys, scale: number): Keys {
  const given = { ...presetValues(presets?.preset, written), ...written };
  const scaled = schemaKeys(schema).flatMap(({ name, scaling, condition, default: usual }): [string, number][] => {
    const isUsual = condition?.holds(given, { heldOut: true }) ?? true;
    const value = given[name] ?? (isUsual ? usual : undefined);
    return scaling && typeof value === 'number' ? [[name, scaling(value, scale)]] : [];
  });
  return Object.fromEntries(scaled.filter(([name, value]) => value !== given[name]));
}

/** The stage names or directories given for each input key of the stage. */
export function inputValues(stage: Stage, config: Keys): Record<string, string[]> {
  return Object.fromEntries(Object.keys(stage.inputs).map((key) => [key, texts(config[key])]));
}

/** The datasets that the stage's own keys name. */
export function datasetsOf(stage: Stage, config: Keys): DatasetSource[] {
  return Object.entries(stage.datasets).flatMap(([key, { use }]) =>
    texts(config[key]).map((source) => ({ key, source, use: typeof use === 'function' ? use(config) : use })),
  );
}

function texts(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).filter((item) => typeof item === 'string');
}

function pick(keys: Keys, wanted: (key: string) => boolean): Record<string, unknown> {
  return Object.fromEntries(Object.entries(keys).filter(([key]) => wanted(key)));
}

function isKeys(value: unknown): value is Keys {
  return typeof value === 'object' && value !== null;
}
