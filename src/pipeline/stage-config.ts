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
  /** With the schema's defaults. */
  config: Keys;
}

/** A stage, the keys that it was given, and what they come to. */
export interface StageKeys {
  stage: Stage;
  written: Keys;
  /** With defaults. */
  config: Keys;
  /** Path of each written key in the file. */
  paths: Readonly<Record<string, Path>>;
  datasets: readonly DatasetSource[];
}

/** Checks what was written for a stage: its own keys against its schema, the others against the machine's. */
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
 * A held-out metric that is to choose the result has to be one that the stage measures, and has to have a direction.
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

/** Keys that were written and have no effect with the others as they are, with the condition in which they would. */
export function idleKeys(stage: Stage, written: Keys, config: Keys, facts: Facts): Map<string, Condition> {
  const values = { ...written, ...config };
  const idle = schemaKeys(stage.schema).flatMap(({ name, condition }): [string, Condition][] =>
    condition && own(written, name) !== undefined && !condition.holds(values, facts) ? [[name, condition]] : [],
  );
  return new Map(idle);
}

/** What `--scale` makes of keys that measure out work: of those that are given, and of defaults that have an effect. */
export function scaledKeys({ schema, presets }: Stage, written: Keys, scale: number): Keys {
  const given = { ...presetValues(presets?.preset, written), ...written };
  const scaled = schemaKeys(schema).flatMap(({ name, scaling, condition, default: usual }): [string, number][] => {
    const isUsual = condition?.holds(given, { heldOut: true }) ?? true;
    const value = given[name] ?? (isUsual ? usual : undefined);
    return scaling && typeof value === 'number' ? [[name, scaling(value, scale)]] : [];
  });
  return Object.fromEntries(scaled.filter(([name, value]) => value !== given[name]));
}

/** The names or directories that each input key of the stage was given. */
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
