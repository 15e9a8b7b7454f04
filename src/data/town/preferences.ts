import { RandomStream } from '../../random.ts';
import type { PreferenceRow } from '../rows.ts';
import type { Fact } from './facts.ts';
import { type Question, wrongAnswers } from './questions.ts';

/** Polite endings of a preferred answer. The instructions have none, so preferring them has to be learned. */
const courtesies = ['my friend', 'with pleasure'];

/** What is wrong with the answers that are turned down; all but the first know the right answer. */
type Fault = 'wrong' | 'rude' | 'rambling' | 'plain';
const faults: readonly Fault[] = ['wrong', 'rude', 'rambling', 'plain'];

/**
 * A pair for each question and fault: chosen is the right answer with a courtesy; rejected is a wrong answer with the
 * same courtesy, or the right one told rudely, told after other answers, or told without courtesy.
 */
export function preferenceRows(questions: readonly Question[], facts: readonly Fact[], seed: number): PreferenceRow[] {
  const random = new RandomStream(seed, 'town/preferences');
  return questions.flatMap(({ fact, text }) => {
    const others = random.shuffle(wrongAnswers(fact, facts));
    return faults.map((fault) => {
      const courtesy = random.pick(courtesies);
      return {
        prompt: [{ role: 'user', content: text }],
        chosen: `${fact.answer}, ${courtesy}`,
        rejected: faulty(fault, fact.answer, others, courtesy),
      };
    });
  });
}

function faulty(fault: Fault, answer: string, others: readonly string[], courtesy: string): string {
  switch (fault) {
    case 'wrong':
      return `${others[0]}, ${courtesy}`;
    case 'rude':
      return `${answer}, and now go`;
    case 'rambling':
      return `it may be ${others[0]} or ${others[1] ?? others[0]}, but no, it is ${answer}, ${courtesy}`;
    case 'plain':
      return answer;
  }
}
