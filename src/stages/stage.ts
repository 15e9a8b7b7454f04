import type { z } from 'zod';
import type { Presets } from '../config/presets.ts';
import type { Use } from '../data/rows.ts';
import type { Problem } from '../errors.ts';
import type { MetricName, Metrics } from '../evaluation/metrics.ts';
import type { Sample } from '../runs/results.ts';
import type { Backend } from '../tensor/backends/backend.ts';
import type { Budget } from '../training/budget.ts';
import type { Ranks } from '../training/ranks.ts';

/** What a stage reports after each step: only numbers, so that every chart and table can show them. */
export interface StepRecord {
  /** 1-based; for stages that do not train, the unit of work done. */
  step: number;
  /** Steps in the whole stage, where known. */
  totalSteps?: number;
  [metric: string]: number | undefined;
}

/**
 * A stage yields this in the middle of a step when its state is consistent: the runner may save and stop there, but
 * there is nothing to record yet.
 */
export const pause = Symbol('pause');

/** What the runner provides to a stage. A stage never knows where it runs. */
export interface StageRun {
  backend: Backend;
  seed: number;
  /** Folder of this node; the stage itself writes nothing into it, except below `cache/`. */
  directory: string;
  /** Folder to which relative data paths refer. */
  baseDirectory: string;
  /**
   * By config key, in the given order: the `final/` folders of the stages that the config names, and directories given
   * by the user unchanged.
   */
  inputs: Readonly<Record<string, readonly StageInput[]>>;
  /** Those that train together, this process among them; without them it trains by itself. */
  ranks?: Ranks;
  /** Writes a line to the log about what was inherited, inferred or left out. */
  log(message: string): void;
}

/** What a run will require, as far as is known before its first step. */
export interface Outlook {
  steps: number;
  /** Estimated peak memory in bytes; absent if there is no estimate. */
  bytes?: number;
  /**
   * The entropy of the trained tokens' frequencies in nats, where the loss of failing training often levels off. Only
   * for stages whose `loss` is the cross-entropy of the next token.
   */
  unigramEntropy?: number;
}

/** The amount of computation, estimated before anything is read. */
export interface Work {
  /** The number of tokens that are trained on, forward and backward. */
  tokens: number;
  /** The number of floating-point operations in the model's matrix products. */
  flops: number;
}

export interface StageInput {
  /** Stage name, or the path of a directory given by the user. */
  name: string;
  /** Directory of the finished result: `…/final` for stages of the pipeline. */
  directory: string;
  variant?: string;
  seed?: number;
}

/** The kinds of inputs, and the file that identifies a directory of each. A model can also serve as a tokenizer. */
export const inputKinds = {
  tokenizer: { mark: 'tokenizer.json', isModel: false },
  model: { mark: 'config.json', isModel: true },
  'reward model': { mark: 'config.json', isModel: true },
} as const;

export type InputKind = keyof typeof inputKinds;

export interface Input {
  kind: InputKind;
  /** Whether the results of all variants and seeds are read at once. */
  many?: boolean;
  optional?: boolean;
  /** The key that says the norm placement of a model whose files do not. */
  placement?: string;
}

/** The norm placement that a stage's config says of the models that an input names. */
export function saidPlacement({ placement }: Input, config: unknown): string | undefined {
  return placement === undefined ? undefined : (config as Record<string, string | undefined>)[placement];
}

export type ResultKind = InputKind | 'measurements';

/** Whether the result of a stage can be read as an input of this kind. */
export function serves(made: ResultKind, wanted: InputKind): boolean {
  return made === wanted || (!inputKinds[wanted].isModel && made !== 'measurements');
}

export interface DatasetSource {
  /** The config key that names it. */
  key: string;
  source: string;
  use: Use;
}

/**
 * A stage: its schema, its generator, and what the runner needs between two yields. `Config` is the parsed schema.
 * `State` holds everything that determines the future; `open` creates it or, with `from`, loads what `save` wrote.
 */
export interface Stage<
  Config = unknown,
  State = unknown,
  Result extends Record<string, unknown> = Record<string, unknown>,
> {
  name: string;
  /** One line for `--help`. */
  summary: string;
  schema: z.ZodType<Config>;
  /** Whether it draws random numbers, so that another seed gives another result. */
  isRandom: boolean;
  /** Whether `open` reads everything. If not, the files must stay unchanged until the end of the run. */
  readsOnOpen: boolean;
  /** For a key of the schema such as `preset`, the keys that each of its values stands for. */
  presets?: Readonly<Record<string, Presets>>;
  /** Config keys that name stages or model directories. */
  inputs: Readonly<Record<string, Input>>;
  /** What kind of input the finished directory can be for other stages. A model includes its tokenizer. */
  result: ResultKind;
  /**
   * Config keys that name datasets, with the row type they are read as; a function if that depends on other keys.
   */
  datasets: Readonly<
    Record<string, { use: Use | ((keys: Readonly<Record<string, unknown>>) => Use); optional?: boolean }>
  >;
  /** Datasets named inside other keys, such as those of tasks. @throws RequestError */
  sources?(config: Config): readonly DatasetSource[];
  /** Config keys that name other files of the user, such as code, whose content affects the result too. */
  files?: readonly string[];
  /** The problems with the config and its files that can be found before anything runs; `where` is a key. */
  check?(
    config: Config,
    plan: Pick<StageRun, 'baseDirectory'> & { variants: readonly string[] },
  ): Promise<readonly Problem[]>;
  /** Reads inputs and data, and creates or loads the state. @throws RequestError with everything wrong with them */
  open(config: Config, run: StageRun, from?: string): Promise<State>;
  outlook?(config: Config, state: State): Outlook;
  /** What training computes, as far as configs tell: its own and, by input key, those of the stages that it reads. */
  work?(config: Config, read: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>): Work | undefined;
  run(config: Config, state: State, run: StageRun): AsyncGenerator<StepRecord | typeof pause, Result>;
  /** What training has spent so far; undefined if that was not counted from the beginning. */
  budget?(state: State): Budget | undefined;
  /** Writes the state into an empty directory; absent for stages that simply start again. */
  save?(state: State, directory: string): Promise<void>;
  /** Writes the result (a Hugging Face directory for model stages) into an empty directory. */
  finish(config: Config, state: State, directory: string): Promise<void>;
  /** Measures held-out rows; gives no metrics if there are none. */
  evaluate?(config: Config, state: State, run: StageRun): Promise<Metrics>;
  /** All that `evaluate` may measure, any of which with a direction can be `best`. */
  heldOut?(config: Config): readonly MetricName[];
  sample?(config: Config, state: State, run: StageRun): Promise<Sample[]>;
  close?(state: State): void;
}
