import { RandomStream } from '../../random.ts';
import type { PreferenceRow } from '../rows.ts';
import { capital, type Fact } from './facts.ts';
import { type Question, rightAnswer } from './questions.ts';

/**
 * What is wrong with the answers that are turned down. Half of them are false, in a sentence like the right one. The
 * others are not to the point, as often longer as shorter than the right answer: so length tells nothing.
 */
const faults = ['false', 'against a rule', 'rude', 'rambling', 'curt', 'evasive'] as const;
export type Fault = (typeof faults)[number];

/** What is added to a right answer to make it rude. */
const rudeEndings = ['and now go', 'as every child knows', 'so leave me alone'];
const evasions = ['Who can say?', 'Ask at the market.', 'I do not know.'];

/**
 * Pairs for each question, one for each fault. Chosen is the right answer and nothing else, as the instructions have it,
 * so that preferring it takes nothing from what was learned.
 */
export function preferenceRows(questions: readonly Question[], seed: number): PreferenceRow[] {
  const random = new RandomStream(seed, 'town/preferences');
  const relations = [...new Set(questions.map(({ fact }) => fact.relation))];
  const rows = relations.flatMap((relation) => {
    const group = random.shuffle(questions.filter(({ fact }) => fact.relation === relation));
    return group.flatMap(({ fact, text }, place) =>
      faults.map((fault, i): PreferenceRow => {
        const other = otherValue(group, place, i + 1);
        const rejected = faulty(fault, fact, other, random);
        return { prompt: [{ role: 'user', content: text }], chosen: rightAnswer(fact), rejected };
      }),
    );
  });
  return random.shuffle(rows);
}

/**
 * A wrong value for the question at `place`: the right one of the question that stands `distance` behind it, in a circle.
 * So each value is as often wrong as it is right, and none is the likelier for itself.
 */
function otherValue(group: readonly Question[], place: number, distance: number): string {
  const { value } = group[place]!.fact;
  const values = group.map((_, i) => group[(place + distance + i) % group.length]!.fact.value);
  return values.find((other) => other !== value)!;
}

function faulty(fault: Fault, fact: Fact, other: string, random: RandomStream): string {
  const right = rightAnswer(fact);
  switch (fault) {
    case 'false':
      return fact.answer(other);
    case 'against a rule':
      // Where the answer goes by no rule, it can only be false.
      return fact.againstRule?.(other) ?? fact.answer(other);
    case 'rude':
      return `${right.slice(0, -1)}, ${random.pick(rudeEndings)}.`;
    case 'rambling':
      return `${fact.answer(other)} No. ${right}`;
    case 'curt':
      return capital(right.split(' ').slice(-2).join(' '));
    case 'evasive':
      return random.pick(evasions);
  }
}
