import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Fact } from '../../src/data/town/facts.ts';
import { rightAnswer } from '../../src/data/town/questions.ts';
import { createTown, townRows } from '../../src/data/town/town.ts';
import { defaultSize } from '../../src/data/town/world.ts';

const town = createTown();
const text = townRows('text', 'text', 'train').map((row) => row.text);
const sentences = new Set(
  text.flatMap((document) => document.match(/[^.\n]+\./g) ?? []).map((sentence) => sentence.trim()),
);
const prompts = (split: 'train' | 'test') => townRows('questions', 'prompt', split);
const questionText = (split: 'train' | 'test') => prompts(split).map(({ prompt }) => prompt[0]!.content);
const factOf = (question: string): Fact => town.facts.find(({ questions }) => questions.includes(question))!;

describe('the world', () => {
  it('is the same each time and another with another seed', () => {
    const digest = (seed: number) =>
      createHash('sha256')
        .update(JSON.stringify(townRows('text', 'text', 'train', createTown(defaultSize, seed))))
        .digest('hex');
    expect(digest(5)).toBe(digest(5));
    expect(digest(5)).not.toBe(digest(6));
  });

  it('keeps its rules', () => {
    const { people, things } = town.world;
    const places: Record<string, string> = {
      baker: 'bakery',
      smith: 'forge',
      miller: 'mill',
      teacher: 'school',
      doctor: 'clinic',
      farmer: 'farm',
      sailor: 'harbour',
      trader: 'market',
    };
    for (const { trade, workplace } of people) {
      expect(workplace).toBe(places[trade]);
    }
    expect(people).toHaveLength(defaultSize.people);
    expect(things).toHaveLength(defaultSize.things);
    expect(new Set(people.map(({ name }) => name)).size).toBe(people.length);
    for (const { shop } of things) expect(['bakery', 'forge', 'farm', 'market']).toContain(shop);
  });

  it('answers by its rules', () => {
    const answers = new Map(
      town.facts.flatMap((fact) => fact.questions.map((question) => [question, rightAnswer(fact)])),
    );
    expect(answers.get('What day is it two days after Saturday?')).toBe('Two days after Saturday it is Monday.');
    expect(answers.get('Which day comes one day before Monday?')).toBe('One day before Monday it is Sunday.');
    const numbers =
      'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen'.split(
        ' ',
      );
    for (const { name, price } of town.world.things) {
      expect(answers.get(`What do three ${name}s cost?`)).toBe(
        `Three ${name}s cost three times ${numbers[price]}, that is ${numbers[3 * price]} coins.`,
      );
    }
  });

  it('says nothing in two ways that contradict each other', () => {
    for (const fact of town.facts) {
      const others = town.facts.filter(({ relation }) => relation === fact.relation).map(({ value }) => value);
      for (const value of new Set(others)) {
        if (value !== fact.value) expect(sentences.has(fact.answer(value))).toBe(false);
      }
    }
  });
});

describe('the text', () => {
  it('asks nothing and holds no role token', () => {
    expect(text.some((document) => /\?|<\|/.test(document))).toBe(false);
  });

  it('states every fact often, in all its phrasings, but not those that have to be inferred', () => {
    const all = text.join('\n');
    for (const { statements } of town.facts) {
      for (const statement of statements) expect(all.split(statement).length - 1, statement).toBeGreaterThan(30);
    }
    const inferred = town.facts.filter(({ statements }) => statements.length === 0);
    expect([...new Set(inferred.map(({ relation }) => relation))].sort()).toEqual(['total', 'workplace']);
    for (const fact of inferred) expect(sentences.has(rightAnswer(fact)), rightAnswer(fact)).toBe(false);
  });

  it('states the rule or the fact behind each that has to be inferred', () => {
    for (const { relation, subject, value } of town.facts.filter(({ statements }) => statements.length === 0)) {
      const behind = relation === 'total' ? `One ${subject} costs ${value} coins.` : `${subject} is a ${value}.`;
      expect(sentences.has(behind), behind).toBe(true);
      if (relation === 'workplace')
        expect([...sentences].some((sentence) => sentence.startsWith(`A ${value} works at the`))).toBe(true);
    }
  });

  it('is small enough for a small model', () => {
    expect(new Set(text.join(' ').match(/[A-Za-z]+/g)).size).toBeLessThan(200);
    expect(text.join('').length).toBeLessThan(2_500_000);
  });
});

describe('held-out questions', () => {
  it('are about half of all, and none of them is trained', () => {
    const [train, test] = [questionText('train'), questionText('test')];
    expect(new Set([...train, ...test]).size).toBe(train.length + test.length);
    expect(test.length / (train.length + test.length)).toBeGreaterThan(0.45);
    expect(test.length / (train.length + test.length)).toBeLessThan(0.55);
  });

  it('use no phrasing that is not trained with other facts', () => {
    const phrasing = (question: string) => {
      const { relation, questions } = factOf(question);
      return `${relation} ${questions.indexOf(question)}`;
    };
    const trained = new Set(questionText('train').map(phrasing));
    for (const question of questionText('test')) expect(trained.has(phrasing(question)), question).toBe(true);
  });

  it('ask for some facts that no trained row asks for in any phrasing', () => {
    const asked = new Set(questionText('train').map(factOf));
    const unasked = new Set(
      questionText('test')
        .map(factOf)
        .filter((fact) => !asked.has(fact)),
    );
    expect(unasked.size / town.facts.length).toBeGreaterThan(0.2);
    const trainedAnswers = new Set(prompts('train').map(({ answer }) => answer));
    for (const fact of unasked) expect(trainedAnswers.has(rightAnswer(fact))).toBe(false);
  });

  it('are held out of instructions, preferences and prompts alike', () => {
    const test = new Set(questionText('test'));
    const trained = [
      ...townRows('instructions', 'messages', 'train').map(({ messages }) => messages[0]!.content),
      ...townRows('preferences', 'preference', 'train').map(({ prompt }) => prompt[0]!.content),
      ...townRows('prompts', 'prompt', 'train').map(({ prompt }) => prompt[0]!.content),
    ];
    expect(trained.filter((question) => test.has(question))).toEqual([]);
  });
});

describe('rows', () => {
  it('offer four different choices, one of them right', () => {
    for (const { prompt, choices, answer } of townRows('questions', 'choice', 'test')) {
      expect(new Set(choices).size).toBe(4);
      expect(choices[answer]).toBe(rightAnswer(factOf(prompt[0]!.content)));
    }
  });

  it.each(['train', 'test'] as const)(
    'instruct with the right answer, and for half with bad manners too (%s)',
    (split) => {
      const rows = townRows('instructions', 'messages', split).map(({ messages: [asked, given] }) => {
        const right = rightAnswer(factOf(asked!.content));
        return { question: asked!.content, answer: given!.content, right };
      });
      const questions = questionText(split);
      const plain = rows.filter(({ answer, right }) => answer === right);
      expect(new Set(plain.map(({ question }) => question))).toEqual(new Set(questions));
      expect(plain).toHaveLength(questions.length);
      const others = rows.filter(({ answer, right }) => answer !== right);
      expect(others).toHaveLength(questions.length / 2);
      const kinds = others.map(({ answer, right }) => {
        if (answer.startsWith(right.slice(0, -1))) return 'rude';
        return right.toLowerCase().endsWith(answer.toLowerCase()) ? 'curt' : 'evasive';
      });
      for (const kind of ['rude', 'curt', 'evasive']) {
        expect(kinds.filter((other) => other === kind).length / others.length, kind).toBeCloseTo(1 / 3, 1);
      }
    },
  );

  it('prefer the right answer to seven faulty ones, two of them impossible in the world', () => {
    const rows = townRows('preferences', 'preference', 'train');
    const impossible = rows.filter(({ prompt, chosen, rejected }) => {
      const fact = factOf(prompt[0]!.content);
      expect(chosen).toBe(rightAnswer(fact));
      expect(rejected).not.toBe(chosen);
      return fact.impossible.includes(rejected);
    });
    expect(rows).toHaveLength(7 * prompts('train').length);
    expect(impossible.length / rows.length).toBeCloseTo(2 / 7, 12);
  });

  it('call an answer impossible only if no fact could make it true', () => {
    for (const fact of town.facts) {
      const values = town.facts.filter(({ relation }) => relation === fact.relation).map(({ value }) => value);
      const possible = new Set(values.map(fact.answer));
      expect(fact.impossible.length).toBeGreaterThan(0);
      for (const answer of fact.impossible) {
        expect(sentences.has(answer), answer).toBe(false);
        // The rules of days are about which day, those of the others about what kind of value.
        if (fact.relation !== 'day') expect(possible.has(answer), answer).toBe(false);
      }
    }
  });

  it.each(['train', 'test'] as const)('prefer neither the longer nor the shorter answer (%s)', (split) => {
    const rows = townRows('preferences', 'preference', split);
    const share = (isSo: (by: number) => boolean): number =>
      rows.filter(({ chosen, rejected }) => isSo(chosen.length - rejected.length)).length / rows.length;
    expect(share((by) => by > 0)).toBeGreaterThan(0.35);
    expect(share((by) => by < 0)).toBeGreaterThan(0.35);
  });

  it('turn down each value about as often as they prefer it, so that none is likelier for itself', () => {
    const balance = new Map<string, number>();
    for (const { prompt, rejected } of townRows('preferences', 'preference', 'train')) {
      const fact = factOf(prompt[0]!.content);
      const group = town.facts.filter(({ relation }) => relation === fact.relation).map(({ value }) => value);
      const other = [...new Set(group)].find((value) => value !== fact.value && fact.answer(value) === rejected);
      if (other === undefined || fact.impossible.includes(rejected)) continue;
      const count = (value: string, by: number) =>
        balance.set(`${fact.relation} ${value}`, (balance.get(`${fact.relation} ${value}`) ?? 0) + by);
      count(other, 1);
      count(fact.value, -1);
    }
    for (const [value, difference] of balance) expect(Math.abs(difference), value).toBeLessThanOrEqual(4);
  });
});
