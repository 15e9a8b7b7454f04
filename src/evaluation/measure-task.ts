import type { QuestionOf, RowOf } from '../data/rows.ts';
import { encodeScoredText } from '../data/scored-text.ts';
import type { TaskFile, TaskOf } from '../data/tasks/task-schema.ts';
import { RequestError } from '../errors.ts';
import { generateText } from '../generation/text.ts';
import type { Model } from '../model/model.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { greedyMatches } from './greedy.ts';
import { multipleChoice } from './multiple-choice.ts';
import { textPerplexity } from './perplexity.ts';
import { verifiedReward } from './reward-sources.ts';
import { rouge } from './rouge.ts';
import { meansOf, type TaskResult } from './task-result.ts';
import { scoreTexts } from './text-scores.ts';

const tooLong = 'leave such rows out, or take a model with a longer context';

/** Measures a model by a task file, whose questions these are. */
export function measureTask(
  model: Model,
  tokenizer: Tokenizer,
  task: TaskFile,
  questions: readonly RowOf['question'][],
  { window }: { window: number },
): Promise<TaskResult> {
  switch (task.kind) {
    case 'choice':
    case 'partial': {
      const rows = questions as QuestionOf['choice'][];
      const encoded = rows.map(({ texts }) => texts.map((text) => encodeScoredText(text, tokenizer)));
      return multipleChoice(model, tokenizer, rows, encoded, task.metrics);
    }
    case 'continuation':
      return continuations(model, tokenizer, questions as QuestionOf['continuation'][]);
    case 'generate':
      return answers(model, tokenizer, task, questions as QuestionOf['generate'][]);
    case 'perplexity':
      return textPerplexity(model, tokenizer, questions as QuestionOf['perplexity'][], { window });
  }
}

/** `greedyMatch`: the share that greedy decoding writes; `perplexity`: exp of the mean −log p of an answer. */
async function continuations(
  model: Model,
  tokenizer: Tokenizer,
  questions: readonly QuestionOf['continuation'][],
): Promise<TaskResult> {
  const sequences = questions.map((question) => encodeScoredText(question, tokenizer));
  const without = sequences.findIndex(({ trained }) => !trained.includes(1));
  if (without >= 0) {
    const answer = JSON.stringify(questions[without]!.continuation);
    const message = `row ${without + 1}: no token of the answer ${answer} is its own: it merges with the text before it`;
    throw new RequestError({ message });
  }
  const { logProbs } = await scoreTexts(model, tokenizer, sequences, tooLong);
  const correct = await greedyMatches(model, sequences);
  const { metrics, stderr } = meansOf({ greedyMatch: correct.map(Number), logProb: logProbs });
  return {
    metrics: { greedyMatch: metrics.greedyMatch!, answerPerplexity: Math.exp(-metrics.logProb!) },
    stderr: { greedyMatch: stderr.greedyMatch! },
    metric: 'greedyMatch',
    items: logProbs.map((logProb, item) => ({ item, correct: correct[item]!, score: Number(correct[item]), logProb })),
  };
}

async function answers(
  model: Model,
  tokenizer: Tokenizer,
  { stop, match, metrics: wanted, maxNewTokens }: TaskOf<'generate'>,
  questions: readonly QuestionOf['generate'][],
): Promise<TaskResult> {
  const written = await generateText(
    model,
    tokenizer,
    questions.map(({ prompt }) => prompt),
    { maxNewTokens },
  );
  const texts = written.map(({ text }) => beforeStop(text, stop).trim());
  const completions = texts.map((text, row) => {
    const { prompt, answer } = questions[row]!;
    return {
      row,
      prompt: { prompt: [{ role: 'user' as const, content: prompt }], answer },
      text,
      tokens: new Int32Array(),
    };
  });
  const exactMatch = await verifiedReward(match, 1).rewardsOf(completions);
  const rouges = questions.map(({ answer }, i) => rouge(answer, texts[i]!));
  const scores = Object.fromEntries(
    wanted.map((name) => [name, name === 'exactMatch' ? exactMatch : rouges.map((found) => found[name])] as const),
  );
  const metric = wanted[0]!;
  const items = scores[metric]!.map((score, item) => ({ item, score, correct: exactMatch[item] === 1 }));
  return { ...meansOf(scores), metric, items };
}

/** The text up to the first place where one of these begins. */
function beforeStop(text: string, stops: readonly string[]): string {
  const places = stops.map((stop) => text.indexOf(stop)).filter((place) => place >= 0);
  return text.slice(0, Math.min(...places, text.length));
}
