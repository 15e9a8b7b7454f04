import type { z } from 'zod';
import type { Presets } from '../config/presets.ts';
import type { Use } from '../data/rows.ts';
import type { Problem } from '../errors.ts';
import type { MetricName, Metrics } from '../evaluation/metrics.ts';
import type { Sample } from '../runs/results.ts';
import type { Backend } from '../tensor/backends/backend.ts';
import type { Budget } from '../training/budget.ts';
import type { Ranks } from '../training/ranks.ts';

/** What a stage reports after each step; numbers only, so that every chart and table can show them. */
export interface StepRecord {
  /** 1-based; for stages that do not train, the unit of work done. */
  step: number;
  /** Steps in the whole stage, where known. */
  totalSteps?: number;
  [metric: string]: number | undefined;
}

/**
 * What a stage yields in the middle of a step where its state is whole: the runner may save and stop there, and there
 * is nothing to record yet.
 */
export const pause = Symbol('pause');

/** What the runner gives a stage. A stage never knows where it runs. */
export interface StageRun {
  backend: Backend;
  seed: number;
  /** Folder of this node; the stage writes nothing into it by itself except below `cache/`. */
  directory: string;
  /** Folder that relative data paths start from. */
  baseDirectory: string;
  /**
   * `final/` folders of the stages that the config names, by config key and in the order given; a path given by the
   * user as it is.
   */
  inputs: Readonly<Record<string, readonly StageInput[]>>;
  /** Those that train together, this process among them; without them it trains by itself. */
  ranks?: Ranks;
  /** One line to the log: what was inherited, inferred or left out. */
  log(message: string): void;
}

/** What a run will take, as far as it is known before its first step. */
export interface Outlook {
  steps: number;
  /** Of memory at its peak, an estimate; absent where there is none. */
  bytes?: number;
  /**
   * Of a stage whose `loss` is the cross-entropy of the next token: the entropy of the trained tokens' frequencies, in
   * nats, on which a training that fails often stays.
   */
  unigramEntropy?: number;
}

/** What there is to compute, before anything is read. */
export interface Work {
  /** Tokens that are trained on, forward and backward. */
  tokens: number;
  /** Operations of the model's products. */
  flops: number;
}

export interface StageInput {
  /** Stage name, or the path for a directory that the user named. */
  name: string;
  /** Directory of the finished result: `…/final` for stages of the pipeline. */
  directory: string;
  variant?: string;
  seed?: number;
}

/** What an input has to be, and by which file its directory is known. A tokenizer is also taken from a model. */
export const inputKinds = {
  tokenizer: { mark: 'tokenizer.json', isModel: false },
  model: { mark: 'config.json', isModel: true },
  'reward model': { mark: 'config.json', isModel: true },
} as const;

export type InputKind = keyof typeof inputKinds;

export interface Input {
  kind: InputKind;
  /** Is every variant's result wanted at once? */
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

/** Whether what a stage makes can be read where an input of this kind is wanted. */
export function serves(made: ResultKind, wanted: InputKind): boolean {
  return made === wanted || (!inputKinds[wanted].isModel && made !== 'measurements');
}

export interface DatasetSource {
  /** Config key that names it. */
  key: string;
  source: string;
  use: Use;
}

/**
 * A stage: schema, generator and what the runner needs between two yields. `Config` is the parsed schema.
 * `State` holds all that decides the future; `open` makes it fresh or, with `from`, loads what `save` wrote.
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
  /** Whether it draws random numbers, so that another seed comes to another result. */
  isRandom: boolean;
  /** Whether `open` reads all that is ever read; of other stages, files have to stay as they are until the end. */
  readsOnOpen: boolean;
  /** Of a key of the schema, such as `preset`, what each of its values stands for. */
  presets?: Readonly<Record<string, Presets>>;
  /** Config keys that name stages or model directories. */
  inputs: Readonly<Record<string, Input>>;
  /** What the finished directory is for those that read it. A model brings its tokenizer along. */
  result: ResultKind;
  /**
   * Config keys that name datasets, with the row type they are read as, where that depends on other keys as a function
   * of them.
   */
  datasets: Readonly<
    Record<string, { use: Use | ((keys: Readonly<Record<string, unknown>>) => Use); optional?: boolean }>
  >;
  /** Datasets that stand inside other keys, such as those of tasks. @throws RequestError */
  sources?(config: Config): readonly DatasetSource[];
  /** Config keys that name files of a user's own, such as code, whose content decides the result too. */
  files?: readonly string[];
  /** What is wrong with the config and its files and can be known before anything runs; `where` is a key. */
  check?(
    config: Config,
    plan: Pick<StageRun, 'baseDirectory'> & { variants: readonly string[] },
  ): Promise<readonly Problem[]>;
  /** Reads inputs and data and makes or loads the state; everything wrong with them is a RequestError from here. */
  open(config: Config, run: StageRun, from?: string): Promise<State>;
  outlook?(config: Config, state: State): Outlook;
  /** What training computes, as far as configs tell: its own and, by input key, those of the stages that it reads. */
  work?(config: Config, read: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>): Work | undefined;
  run(config: Config, state: State, run: StageRun): AsyncGenerator<StepRecord | typeof pause, Result>;
  /** What training has spent so far; nothing where that was not counted from the beginning. */
  budget?(state: State): Budget | undefined;
  /** Writes the state into an empty directory; absent for stages that are simply run again. */
  save?(state: State, directory: string): Promise<void>;
  /** Writes the result (a Hugging Face directory for model stages) into an empty directory. */
  finish(config: Config, state: State, directory: string): Promise<void>;
  /** Measures what is held out; nothing where nothing is. */
  evaluate?(config: Config, state: State, run: StageRun): Promise<Metrics>;
  /** All that `evaluate` may measure, any of which with a direction can be `best`. */
  heldOut?(config: Config): readonly MetricName[];
  sample?(config: Config, state: State, run: StageRun): Promise<Sample[]>;
  close?(state: State): void;
}
