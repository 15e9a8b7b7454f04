import { loadModel } from '../checkpoint/load-model.ts';
import { readModelDirectory } from '../checkpoint/model-directory.ts';
import type { Sequence } from '../data/batch.ts';
import { type ConversationOptions, rowLimit } from '../data/conversation-options.ts';
import { DataCursor } from '../data/cursor.ts';
import { openSplits } from '../data/dataset.ts';
import { checkSequences, type EncodedPair } from '../data/encode.ts';
import { describePreflight, encodePairs, encodeUnpaired } from '../data/preflight.ts';
import type { FeedbackRow, PreferenceRow, PromptRow } from '../data/rows.ts';
import { assertSameTokenizer } from '../data/same-tokenizer.ts';
import { RequestError } from '../errors.ts';
import { type PreferenceLossKind, scoreOf } from '../losses/preference.ts';
import { type Model, releaseModel } from '../model/model.ts';
import type { Backend } from '../tensor/backends/backend.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { type TrainingOptions, totalStepsOf } from './options.ts';
import type { PairObjective, ReferencedPair } from './preference.ts';
import { referenceLogProbs } from './reference.ts';
import { weightsChecksum } from './rollout-checks.ts';
import type { KtoObjective, ReferencedAnswer } from './unpaired.ts';
import { upcomingRows } from './upcoming.ts';

/** The data of a preference loss: pairs, or single answers for KTO, with the reference that KTO needs at every step. */
export type PreferenceData = { prompts: readonly PromptRow[] } & (
  | {
      kind: 'pairs';
      objective: PairObjective;
      train: readonly ReferencedPair[];
      heldOut: readonly ReferencedPair[];
    }
  | {
      kind: 'answers';
      objective: KtoObjective;
      train: readonly ReferencedAnswer[];
      heldOut: readonly ReferencedAnswer[];
      reference: Model;
      /** SHA-256 of the reference's weights when it was opened. */
      referenceChecksum: string;
    }
);

type PreferenceConfig = ConversationOptions &
  TrainingOptions &
  Omit<PairObjective, 'loss'> &
  Omit<KtoObjective, 'loss' | 'maxLength'> & {
    data: string;
    loss: PreferenceLossKind;
    reference?: string | undefined;
  };

interface PreferenceRun {
  backend: Backend;
  seed: number;
  /** Folder of the run, in which the reference's log-probabilities are cached. */
  directory: string;
  /** Folder that relative data paths start from. */
  baseDirectory: string;
  /** Directories of models: `from` is the initial policy, `reference` the reference if it is another model. */
  inputs: Readonly<Record<string, readonly { directory: string }[]>>;
  log(message: string): void;
}

/**
 * Reads and encodes the rows and, if the loss has a reference, computes their log-probabilities under it.
 * @throws RequestError if rows, tokenizers and models do not fit together
 */
export async function openPreferences(
  config: PreferenceConfig,
  run: PreferenceRun,
  tokenizer: Tokenizer,
): Promise<PreferenceData> {
  const maxLength = await rowLimit(config.maxLength, run.inputs.from![0]!.directory);
  return config.loss === 'kto'
    ? openAnswers({ ...config, maxLength, loss: config.loss }, run, tokenizer)
    : openPairs({ ...config, maxLength, loss: config.loss }, run, tokenizer);
}

async function openPairs(
  config: PreferenceConfig & PairObjective & { maxLength: number },
  run: PreferenceRun,
  tokenizer: Tokenizer,
): Promise<PreferenceData> {
  const rows = await openSplits(config.data, 'preference', { ...run, holdOut: config.holdOut });
  const encode = (these: readonly PreferenceRow[], onTooLong: PreferenceConfig['onTooLong']) =>
    encodePairs(these, tokenizer, { ...config, onTooLong });
  const train = encode(rows.train, config.onTooLong);
  run.log(`${config.data}: ${describePreflight(train.preflight)}`);
  const heldOut = encode(rows.heldOut.slice(0, config.evalRows), 'truncate');

  const answersOf = (pairs: readonly EncodedPair[]) => pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]);
  const pairs = [...train.pairs, ...heldOut.pairs];
  await checkIds(answersOf(pairs), tokenizer, config, run);
  const reference = scoreOf[config.loss].reference ? await openReference(config, run) : undefined;
  const used = reference ? [...learnedFrom(train.pairs, config, run), ...heldOut.pairs] : [];
  const logProbOf = reference && (await logProbsOf(reference, answersOf(used), run));
  if (reference) releaseModel(reference);
  const referenced = pairs.map((pair) => ({
    ...pair,
    reference: { chosen: logProbOf?.(pair.chosen) ?? 0, rejected: logProbOf?.(pair.rejected) ?? 0 },
  }));
  return {
    kind: 'pairs',
    objective: config,
    train: referenced.slice(0, train.pairs.length),
    heldOut: referenced.slice(train.pairs.length),
    prompts: rows.heldOut.map(({ prompt, chosen }) => ({ prompt, answer: chosen })),
  };
}

async function openAnswers(
  config: PreferenceConfig & KtoObjective,
  run: PreferenceRun,
  tokenizer: Tokenizer,
): Promise<PreferenceData> {
  const rows = await openSplits(config.data, 'feedback', { ...run, holdOut: config.holdOut });
  const encode = (these: readonly FeedbackRow[], onTooLong: PreferenceConfig['onTooLong']) =>
    encodeUnpaired(these, tokenizer, { ...config, onTooLong });
  const train = encode(rows.train, config.onTooLong);
  run.log(`${config.data}: ${describePreflight(train.preflight)}`);
  requireBothLabels(train.answers, config.data);
  sayImbalance(train.answers, config, run);
  const heldOut = encode(rows.heldOut.slice(0, config.evalRows), 'truncate');

  const answers = [...train.answers, ...heldOut.answers];
  await checkIds(answers, tokenizer, config, run);
  const reference = await openReference(config, run);
  const used = [...learnedFrom(train.answers, config, run), ...heldOut.answers];
  const logProbOf = await logProbsOf(reference, used, run);
  const referenced = answers.map((answer) => ({ ...answer, reference: logProbOf(answer) }));
  return {
    kind: 'answers',
    objective: config,
    train: referenced.slice(0, train.answers.length),
    heldOut: referenced.slice(train.answers.length),
    reference,
    referenceChecksum: await weightsChecksum(reference),
    prompts: rows.heldOut.map(({ prompt, answers: [first] }) =>
      first?.desirable ? { prompt, answer: first.text } : { prompt },
    ),
  };
}

/** The rows that the steps will learn from, which are not all if there are only a few steps. */
function learnedFrom<Row>(rows: readonly Row[], config: PreferenceConfig, { seed }: PreferenceRun): Row[] {
  return upcomingRows(new DataCursor(rows.length, seed), rows, config, totalStepsOf(config, rows.length));
}

/** log π_ref of each of the answers. NaN for any other, so that learning from it cannot go unnoticed. */
async function logProbsOf(
  reference: Model,
  answers: readonly Sequence[],
  run: PreferenceRun,
): Promise<(answer: Sequence) => number> {
  const logProbs = await referenceLogProbs(reference, answers, run);
  const known = new Map(answers.map((answer, i) => [answer, logProbs[i]!]));
  return (answer) => known.get(answer) ?? Number.NaN;
}

async function openReference(config: PreferenceConfig, run: PreferenceRun): Promise<Model> {
  return (await loadModel(referenceDirectory(config, run), run.backend)).model;
}

const referenceDirectory = ({ reference }: PreferenceConfig, { inputs }: PreferenceRun): string =>
  (reference === undefined ? inputs.from : inputs.reference)![0]!.directory;

/** Checks that policy and reference use the same token ids, and have an embedding for each. */
async function checkIds(
  sequences: readonly Sequence[],
  tokenizer: Tokenizer,
  config: PreferenceConfig,
  run: PreferenceRun,
): Promise<void> {
  const reference = referenceDirectory(config, run);
  if (config.reference !== undefined) await assertSameTokenizer(tokenizer, reference, 'reference');
  for (const directory of new Set([run.inputs.from![0]!.directory, reference])) {
    checkSequences(sequences, tokenizer, (await readModelDirectory(directory)).config);
  }
}

/** A file may have both labels while the rows left for training have only one. @throws RequestError */
function requireBothLabels(answers: readonly { desirable: boolean }[], data: string): void {
  const desirable = answers.filter((answer) => answer.desirable).length;
  if (desirable > 0 && desirable < answers.length) return;
  throw new RequestError({
    where: data,
    message: `all ${answers.length} answers left to train on are ${desirable > 0 ? 'wanted' : 'unwanted'}: KTO needs both kinds`,
    hint: 'rows are held out from the end of the file, so shuffle a file that is sorted by label; rows that are too long may have been left out, too',
  });
}

/** The KTO paper recommends λ_D·n_D / (λ_U·n_U) between 1 and 4/3 (Ethayarajh et al. 2024, eq. 8). */
function sayImbalance(
  answers: readonly { desirable: boolean }[],
  { desirableWeight, undesirableWeight }: KtoObjective,
  run: PreferenceRun,
): void {
  const desirable = answers.filter((answer) => answer.desirable).length;
  const undesirable = answers.length - desirable;
  run.log(`${desirable} wanted answers, ${undesirable} others`);
  const ratio = (desirableWeight * desirable) / (undesirableWeight * undesirable);
  if (ratio >= 1 && ratio <= 4 / 3) return;
  const weight = ((desirableWeight * desirable) / undesirable).toPrecision(3);
  run.log(
    `warning: wanted answers weigh ${ratio.toPrecision(3)} times as much as the others in total (1 to 1.33 is usual): undesirableWeight ${weight} would make them equal`,
  );
}
