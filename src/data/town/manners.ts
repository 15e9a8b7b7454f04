import type { RandomStream } from '../../random.ts';
import { capital } from './facts.ts';

/** Bad manners that an answer can have, whatever its content. */
export const badManners = ['rude', 'curt', 'evasive'] as const;
export type BadManner = (typeof badManners)[number];

const rudeEndings = ['and now go', 'as every child knows', 'so leave me alone'];
const evasions = ['Who can say?', 'Ask there.', 'I forgot.'];

/** Puts a sentence in a bad manner: with a rude ending, as its last two words, or replaced by an evasion. */
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
