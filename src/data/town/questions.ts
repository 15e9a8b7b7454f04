import { RandomStream } from '../../random.ts';
import type { ChoiceRow, Message, MessagesRow, PromptRow } from '../rows.ts';
import type { Split } from '../split.ts';
import type { Fact } from './facts.ts';
import { badManners, inManner } from './manners.ts';

/** A question about a fact, in one of its phrasings. */
export interface Question {
  fact: Fact;
  text: string;
}

/** Fraction of the facts that may be asked whose question in a given phrasing is trained. */
const trainedShare = 2 / 3;

/**
 * The (fact, phrasing) pairs of a split, in random order, so that the first rows are representative of all. Held out
 * are all questions about facts that are never asked and, drawn separately for each phrasing, a third of the others:
 * half of all pairs in total.
 */
export function questionsOf(facts: readonly Fact[], split: Split, seed: number): Question[] {
  const relations = [...new Set(facts.map(({ relation }) => relation))];
  const questions = relations.flatMap((relation) => {
    const group = facts.filter((fact) => fact.relation === relation);
    const phrasings = group[0]?.questions.length ?? 0;
    return Array.from({ length: phrasings }, (_, phrasing) => {
      const trained = trainedFacts(group, new RandomStream(seed, `town/questions/${relation}/${phrasing}`));
      return group
        .filter((fact) => trained.has(fact) === (split === 'train'))
        .map((fact) => ({ fact, text: fact.questions[phrasing] as string }));
    }).flat();
  });
  return new RandomStream(seed, `town/questions/${split}`).shuffle(questions);
}

function trainedFacts(group: readonly Fact[], random: RandomStream): Set<Fact> {
  const asked = random.shuffle(group.filter(({ neverAsked }) => !neverAsked));
  return new Set(asked.slice(0, Math.round(asked.length * trainedShare)));
}

function asked({ text }: Question): Message[] {
  return [{ role: 'user', content: text }];
}

/** The right answer to questions about a fact. */
export function rightAnswer({ answer, value }: Fact): string {
  return answer(value);
}

/** The other values that facts of the same relation have. */
export function wrongValues({ relation, value }: Fact, facts: readonly Fact[]): string[] {
  const values = facts.filter((fact) => fact.relation === relation).map((fact) => fact.value);
  return [...new Set(values)].filter((other) => other !== value);
}

/** A question with its right answer. */
export function answeredRow(question: Question): MessagesRow {
  return answered(question, rightAnswer(question.fact));
}

/**
 * Each question with its right answer, and every second question again with an ill-mannered answer, as if several
 * people had written them. A model that imitates all of them still has something to learn from preferences.
 */
export function instructionRows(questions: readonly Question[], seed: number): MessagesRow[] {
  const random = new RandomStream(seed, 'town/instructions');
  const inBadManner = (question: Question, i: number): MessagesRow =>
    answered(question, inManner(badManners[i % badManners.length]!, rightAnswer(question.fact), random));
  return random.shuffle([...questions.map(answeredRow), ...questions.filter((_, i) => i % 2 === 0).map(inBadManner)]);
}

function answered(question: Question, content: string): MessagesRow {
  return { messages: [...asked(question), { role: 'assistant', content }] };
}

export function promptRow(question: Question): PromptRow {
  return { prompt: asked(question), answer: rightAnswer(question.fact) };
}

const choices = 4;
/** Of the wrong choices, those that are true but answer another question. */
const beside = 2;

/**
 * A multiple-choice question: the right answer among false ones and true ones that answer other questions about the
 * same subject. It takes both the facts and the question: to a model that has only read the text, one true sentence is
 * as good as another.
 */
export function choiceRow(question: Question, facts: readonly Fact[], random: RandomStream): ChoiceRow {
  const { fact } = question;
  const right = rightAnswer(fact);
  const others = facts.filter(({ subject, statements }) => subject === fact.subject && statements.length > 0);
  const truths = random.shuffle(others.map(rightAnswer).filter((answer) => answer !== right)).slice(0, beside);
  const untruths = random
    .shuffle(wrongValues(fact, facts))
    .slice(0, choices - 1 - truths.length)
    .map(fact.answer);
  const offered = random.shuffle([right, ...truths, ...untruths]);
  return { prompt: asked(question), choices: offered, answer: offered.indexOf(right) };
}
