import { RandomStream } from '../../random.ts';
import type { TextRow } from '../rows.ts';
import { background, type Fact } from './facts.ts';
import type { World } from './world.ts';

/**
 * Documents of four to nine sentences about two or three subjects. Every fact recurs in all of its phrasings, in
 * varying order and context, so that it is learned as a fact and not as a text.
 */
export function createText(world: World, facts: readonly Fact[], documents: number, seed: number): TextRow[] {
  const random = new RandomStream(seed, 'town/text');
  const sentences = sentencesBySubject(world, facts);
  const subjects = [...sentences.keys()];
  return Array.from({ length: documents }, () => {
    const chosen = Array.from({ length: 2 + random.integer(2) }, () => random.pick(subjects));
    const text = chosen.map((subject) => paragraph(sentences.get(subject) ?? [], random)).join('\n');
    return { text };
  });
}

/** The facts of each subject, each as a list of phrasings. */
function sentencesBySubject(world: World, facts: readonly Fact[]): Map<string, readonly (readonly string[])[]> {
  const sentences = new Map(background(world));
  for (const { subject, statements } of facts) {
    if (statements.length > 0) sentences.set(subject, [...(sentences.get(subject) ?? []), statements]);
  }
  return sentences;
}

/** Two or three different facts of a subject, in random order and phrasing. */
function paragraph(facts: readonly (readonly string[])[], random: RandomStream): string {
  const order = random.shuffle([...facts]);
  return order
    .slice(0, 2 + random.integer(2))
    .map((phrasings) => random.pick(phrasings))
    .join(' ');
}
