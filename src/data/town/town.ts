import { RequestError } from '../../errors.ts';
import { RandomStream } from '../../random.ts';
import { feedbackOf } from '../formats/unpaired.ts';
import type { PreferenceRow, RowOf, TextRow, Use } from '../rows.ts';
import { type Split, splitRows } from '../split.ts';
import { createFacts, type Fact } from './facts.ts';
import { preferenceRows } from './preferences.ts';
import { answeredRow, choiceRow, instructionRows, promptRow, type Question, questionsOf } from './questions.ts';
import { createText } from './text.ts';
import { createWorld, defaultSize, type TownSize, type World } from './world.ts';

export const townKinds = ['text', 'instructions', 'preferences', 'prompts', 'questions'] as const;
export type TownKind = (typeof townKinds)[number];

const defaultSeed = 1;
const heldOutText = 0.05;

/** A generated world with its facts. */
export interface Town {
  world: World;
  facts: readonly Fact[];
  size: TownSize;
  seed: number;
}

export function createTown(size: TownSize = defaultSize, seed = defaultSeed): Town {
  const world = createWorld(size, seed);
  return { world, facts: createFacts(world), size, seed };
}

type Reader<U extends Use> = (town: Town, split: Split) => readonly RowOf[U][];

/** The rows of each kind of dataset, by use. */
const readers: Readonly<Record<TownKind, { [U in Use]?: Reader<U> }>> = {
  text: { text: textRows },
  instructions: { messages: instructions, prompt: each(promptRow) },
  preferences: {
    preference: preferences,
    feedback: (town, split) => preferences(town, split).map(feedbackOf),
    prompt: each(promptRow),
  },
  prompts: { prompt: each(promptRow) },
  questions: { choice: choiceRows, prompt: each(promptRow), messages: each(answeredRow) },
};

/** The uses of a built-in dataset. */
export const townUses = (kind: TownKind): readonly string[] => Object.keys(readers[kind]);

/** The rows of a built-in dataset. @throws RequestError if the kind has no rows for the use */
export function townRows<U extends Use>(
  kind: TownKind,
  use: U,
  split: Split,
  town = createTown(),
): readonly RowOf[U][] {
  const reader = readers[kind][use];
  if (reader) return reader(town, split);
  const serving = townKinds.filter((name) => readers[name][use]).map((name) => `town/${name}`);
  throw new RequestError({
    where: `town/${kind}`,
    message: `has no ${use} rows`,
    hint: `${use} rows are in ${serving.join(', ')}`,
  });
}

function each<R>(row: (question: Question) => R): (town: Town, split: Split) => R[] {
  return ({ facts, seed }, split) => questionsOf(facts, split, seed).map(row);
}

function textRows({ world, facts, size, seed }: Town, split: Split): readonly TextRow[] {
  return splitRows(createText(world, facts, size.documents, seed), split, heldOutText);
}

function choiceRows({ facts, seed }: Town, split: Split): RowOf['choice'][] {
  const random = new RandomStream(seed, `town/choices/${split}`);
  return questionsOf(facts, split, seed).map((question) => choiceRow(question, facts, random));
}

function instructions({ facts, seed }: Town, split: Split): RowOf['messages'][] {
  return instructionRows(questionsOf(facts, split, seed), seed);
}

function preferences({ facts, seed }: Town, split: Split): PreferenceRow[] {
  return preferenceRows(questionsOf(facts, split, seed), seed);
}
