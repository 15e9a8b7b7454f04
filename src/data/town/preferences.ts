import { RandomStream } from '../../random.ts';
import type { PreferenceRow } from '../rows.ts';
import type { Fact } from './facts.ts';
import { type Question, rightAnswer, wrongAnswers } from './questions.ts';

/** What is wrong with the answers that are turned down. */
type Fault = 'wrong' | 'rude' | 'rambling';
const faults: readonly Fault[] = ['wrong', 'rude', 'rambling'];

/** What is added to a right answer to make it rude. */
const rudeEndings = ['and now go', 'as every child knows', 'so leave me alone'];

/**
 * A pair for each question and fault. Chosen is the right answer and nothing else, as the instructions have it, so that
 * preferring it takes nothing from what was learned; rejected is a wrong answer, or the right one told rudely or behind a
 * wrong one.
 */
export function preferenceRows(questions: readonly Question[], facts: readonly Fact[], seed: number): PreferenceRow[] {
  const random = new RandomStream(seed, 'town/preferences');
  const rows = questions.flatMap(({ fact, text }) =>
    faults.map((fault): PreferenceRow => {
      const right = rightAnswer(fact);
      const wrong = random.pick(wrongAnswers(fact, facts));
      const rejected = faulty(fault, right, wrong, random.pick(rudeEndings));
      return { prompt: [{ role: 'user', content: text }], chosen: right, rejected };
    }),
  );
  return random.shuffle(rows);
}

function faulty(fault: Fault, right: string, wrong: string, rudeEnding: string): string {
  switch (fault) {
    case 'wrong':
      return wrong;
    case 'rude':
      return `${right.slice(0, -1)}, ${rudeEnding}.`;
    case 'rambling':
      return `${wrong} No. ${right}`;
  }
}
