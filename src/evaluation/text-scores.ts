import { groupsOfTokens, packSequences, type Sequence, trainedTokensOf } from '../data/batch.ts';
import { checkContext } from '../data/context.ts';
import { checkTokenIds } from '../data/encode.ts';
import { notFinite } from '../errors.ts';
import { headOf, hiddenStates, type Model } from '../model/model.ts';
import { tokenLogProbs } from '../tensor/fused/token-log-probs.ts';
import { gather } from '../tensor/primitives.ts';
import { fromHost, scope } from '../tensor/scope.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

export interface TextScores {
  /** log p of the trained tokens of each sequence, in nats. */
  logProbs: number[];
  /** Trained tokens of each sequence. */
  tokens: number[];
}

/** Tokens that enter the model at once. */
const rowsAtOnce = 4096;

/**
 * log p of the trained part of each sequence. Of a sequence the last token is only predicted, so one longer than the
 * model's context by that token is still read.
 * @throws RequestError where the model cannot read one
 * @throws RunError where one is not finite
 */
export async function scoreTexts(
  model: Model,
  tokenizer: Tokenizer,
  sequences: readonly Sequence[],
  hint: string,
): Promise<TextScores> {
  checkTokenIds(sequences, tokenizer, model.config.vocabSize);
  const lengths = sequences.map(({ tokens }) => tokens.length - 1);
  checkContext(lengths, model.config.maxLength, { hint });
  const logProbs = sequences.map(() => 0);
  for (const inputs of groupsOfTokens(inputsOf(sequences), rowsAtOnce, ({ sequence }) => sequence.tokens.length)) {
    const scored = tokensToScore(inputs, sequences);
    const found = scope(() => scoresOf(model, inputs, scored), { adopt: false });
    const values = await model.backend.read(found);
    found.release();
    scored.texts.forEach((text, i) => {
      if (!Number.isFinite(values[i])) throw notFinite(`the log-probabilities of text ${text + 1} are`);
      logProbs[text]! += values[i]!;
    });
  }
  return { logProbs, tokens: sequences.map(trainedTokensOf) };
}

/** What enters the model once, and the texts (indices of sequences) that are scored by it. */
interface Input {
  sequence: Sequence;
  texts: number[];
}

/** Texts that differ in their last token alone share an input where only that token is scored, as of letters. */
function inputsOf(sequences: readonly Sequence[]): Input[] {
  const shared = new Map<string, Input>();
  return sequences.flatMap((sequence, text) => {
    const { tokens, trained } = sequence;
    const last = tokens.length - 1;
    if (trained.indexOf(1) !== last) return { sequence, texts: [text] };
    const key = tokens.subarray(0, last).join();
    const known = shared.get(key);
    if (known) {
      known.texts.push(text);
      return [];
    }
    const input = { sequence, texts: [text] };
    shared.set(key, input);
    return input;
  });
}

interface ScoredTokens {
  /** Rows of the packed inputs that predict them. */
  rows: number[];
  targets: number[];
  /** The texts that they are of. */
  texts: number[];
}

function tokensToScore(inputs: readonly Input[], sequences: readonly Sequence[]): ScoredTokens {
  const [rows, targets, scored]: [number[], number[], number[]] = [[], [], []];
  let start = 0;
  for (const { sequence, texts } of inputs) {
    for (const text of texts) {
      const { tokens, trained } = sequences[text]!;
      for (let i = 1; i < tokens.length; i++) {
        if (!trained[i]) continue;
        rows.push(start + i - 1);
        targets.push(tokens[i]!);
        scored.push(text);
      }
    }
    start += sequence.tokens.length - 1;
  }
  return { rows, targets, texts: scored };
}

function scoresOf(model: Model, inputs: readonly Input[], { rows, targets }: ScoredTokens) {
  const hidden = hiddenStates(model, packSequences(inputs.map(({ sequence }) => sequence)));
  const predicting = gather(hidden, fromHost(model.backend, Int32Array.from(rows)));
  return tokenLogProbs(predicting, headOf(model), Int32Array.from(targets));
}
