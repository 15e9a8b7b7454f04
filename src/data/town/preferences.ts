import { RandomStream } from '../../random.ts';
import type { PreferenceRow } from '../rows.ts';
import { inManner } from './manners.ts';
import { type Question, rightAnswer } from './questions.ts';

/**
 * What is wrong with the rejected answers. The first three are sentences like the right answer, but false, or
 * impossible by a rule of the world. Of the others, two are longer than the right answer and two shorter, so that
 * length carries no information.
 */
const faults = ['false', 'impossible', 'impossible', 'rude', 'rambling', 'curt', 'evasive'] as const;

/**
 * Pairs for each question, one for each fault. The chosen answer is always the right answer as in the instructions, so
 * that preferring it does not conflict with what was learned from them.
 */
export function preferenceRows(questions: readonly Question[], seed: number): PreferenceRow[] {
  const random = new RandomStream(seed, 'town/preferences');
  const order = random.shuffle([...questions]);
  const rows = order.flatMap((question, place) => {
    const { fact, text } = question;
    const falseAnswer = nextFalse(question, [...order.slice(place), ...order.slice(0, place)]);
    const impossible = random.shuffle([...fact.impossible]);
    return faults.map((fault, i): PreferenceRow => {
      const rejected = faulty(fault, rightAnswer(fact), falseAnswer, impossible[i % 2]!, random);
      return { prompt: [{ role: 'user', content: text }], chosen: rightAnswer(fact), rejected };
    });
  });
  return random.shuffle(rows);
}

/**
 * A false answer, with the next other value of the relation in a circle of questions. Thus each value is false as often
 * as it is right, and no value is more likely to be right by itself.
 */
function nextFalse({ fact }: Question, circle: readonly Question[]): string {
  const answers = circle
    .filter((other) => other.fact.relation === fact.relation)
    .map((other) => fact.answer(other.fact.value));
  return answers.find((answer) => answer !== rightAnswer(fact) && !fact.impossible.includes(answer))!;
}

function faulty(
  fault: (typeof faults)[number],
  right: string,
  falseAnswer: string,
  impossible: string,
  random: RandomStream,
): string {
  switch (fault) {
    case 'false':
      return falseAnswer;
    case 'impossible':
      return impossible;
    case 'rambling':
      return `${falseAnswer} No. ${right}`;
    default:
      return inManner(fault, right, random);
  }
}
