import type { RandomStream } from '../../random.ts';
import { capital } from './facts.ts';

/** Bad manners of an answer, whatever it says. */
export const badManners = ['rude', 'curt', 'evasive'] as const;
export type BadManner = (typeof badManners)[number];

const rudeEndings = ['and now go', 'as every child knows', 'so leave me alone'];
const evasions = ['Who can say?', 'Ask there.', 'I forgot.'];

/** What a bad manner makes of a sentence: the same with a rude ending, its last two words, or nothing of it. */
export function inManner(manner: BadManner, sentence: string, random: RandomStream): string {
  switch (manner) {
    case 'rude':
      return `${sentence.slice(0, -1)}, ${random.pick(rudeEndings)}.`;
    case 'curt':
      return capital(sentence.split(' ').slice(-2).join(' '));
    case 'evasive':
      return random.pick(evasions);
  }
}
