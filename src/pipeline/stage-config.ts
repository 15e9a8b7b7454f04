import { type Place, validate } from '../config/validate.ts';
import type { Problem } from '../errors.ts';
import type { DatasetSource, Stage } from '../stages/stage.ts';
import { type Machine, machineSchema } from './job.ts';

type Keys = Readonly<Record<string, unknown>>;

export interface StageConfig {
  machine: Machine;
  /** With the schema's defaults. */
  config: Keys;
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
    problems: [...stageKeys.problems, ...machine.problems, ...idleKeys(config, place)],
  };
}

/** Keys about the best evaluation that would be read by nothing. */
function idleKeys(keys: Keys, place: Place): Problem[] {
  const requires: [string, string][] = [
    ['best', 'evalEvery'],
    ['patience', 'best'],
  ];
  return requires
    .filter(([key, needed]) => keys[key] !== undefined && keys[needed] === undefined)
    .map(([key, needed]) => {
      const line = place.line?.([key]);
      const message = `has no effect without \`${needed}\``;
      return {
        where: place.where([key]),
        message,
        hint: `set \`${needed}\` too`,
        ...(line === undefined ? {} : { line }),
      };
    });
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
