import { RandomStream } from '../../random.ts';
import type { PreferenceRow } from '../rows.ts';
import type { Fact } from './facts.ts';
import { type Question, rightAnswer, wrongAnswers } from './questions.ts';

/** Polite endings of a preferred answer. The instructions have none, so preferring them has to be learned. */
const courtesies = ['my friend', 'with pleasure'];

/** What is wrong with the answers that are turned down; all but the first know the right answer. */
type Fault = 'wrong' | 'rude' | 'rambling' | 'plain';
const faults: readonly Fault[] = ['wrong', 'rude', 'rambling', 'plain'];

/**
 * A pair for each question and fault: chosen is the right answer with a courtesy; rejected is a wrong answer with the
 * same courtesy, or the right one told rudely, told behind a wrong one, or told without courtesy.
 */
export function preferenceRows(questions: readonly Question[], facts: readonly Fact[], seed: number): PreferenceRow[] {
  const random = new RandomStream(seed, 'town/preferences');
  const rows = questions.flatMap(({ fact, text }) =>
    faults.map((fault): PreferenceRow => {
      const courtesy = random.pick(courtesies);
      const right = rightAnswer(fact);
      const wrong = random.pick(wrongAnswers(fact, facts));
      return {
        prompt: [{ role: 'user', content: text }],
        chosen: ending(right, courtesy),
        rejected: faulty(fault, right, wrong, courtesy),
      };
    }),
  );
  return random.shuffle(rows);
}

function faulty(fault: Fault, right: string, wrong: string, courtesy: string): string {
  switch (fault) {
    case 'wrong':
      return ending(wrong, courtesy);
    case 'rude':
      return ending(right, 'and now go');
    case 'rambling':
      return `${wrong} No. ${ending(right, courtesy)}`;
    case 'plain':
      return right;
  }
}

/** A sentence with something said behind it. */
function ending(sentence: string, words: string): string {
  return `${sentence.slice(0, -1)}, ${words}.`;
}
