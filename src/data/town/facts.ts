import { days, fromWords, inWords, prices, shops, streets, type World, workplaces } from './world.ts';

/** Something true in the world, the ways to state it and the ways to ask for it. */
export interface Fact {
  relation: string;
  /** Who or what the fact is about; documents are composed by subject. */
  subject: string;
  /** What is true of the subject. */
  value: string;
  /** The sentence that would answer a question about the fact if it had this value. */
  answer(value: string): string;
  /** Answers that no fact of the relation can have, because they break a rule of the world. */
  impossible: readonly string[];
  /** Sentences of the pre-training text; none for a fact that has to be inferred by a rule. */
  statements: readonly string[];
  questions: readonly string[];
  /** Whether no question about the fact may be trained, in any phrasing. */
  neverAsked: boolean;
}

type Draft = Omit<Fact, 'relation' | 'neverAsked'>;

/**
 * All facts that can be asked about. For every subject, at most one fact is never asked, in a relation that varies from
 * subject to subject: the questions mention everybody, but some answers can only come from the text. In the relations
 * that follow from a rule (a place of work from the trade, a total from the price), facts that are never asked are not
 * stated either: they have to be inferred.
 */
export function createFacts(world: World): Fact[] {
  const relations: [name: string, inferable: boolean, facts: Draft[]][] = [
    ['trade', false, tradeFacts(world)],
    ['workplace', true, workplaceFacts(world)],
    ['street', false, streetFacts(world)],
    ['taste', false, tasteFacts(world)],
    ['shop', false, shopFacts(world)],
    ['price', false, priceFacts(world)],
    ['total', true, totalFacts(world)],
    ['day', false, dayFacts()],
  ];
  return relations.flatMap(([relation, inferable, facts], turn) => {
    const subjects = [...new Set(facts.map(({ subject }) => subject))];
    return facts.map((fact, index) => {
      const earlier = facts.slice(0, index).filter(({ subject }) => subject === fact.subject).length;
      const neverAsked = (subjects.indexOf(fact.subject) + turn + earlier) % 4 === 0;
      return { ...fact, relation, neverAsked, statements: neverAsked && inferable ? [] : fact.statements };
    });
  });
}

/** Rule: nobody is a thing. */
function tradeFacts({ people, things }: World): Draft[] {
  return people.map(({ name, trade }) => ({
    subject: name,
    value: trade,
    answer: (value) => `${name} is a ${value}.`,
    impossible: things.map((thing) => `${name} is a ${thing.name}.`),
    statements: [`${name} is a ${trade}.`, `The trade of ${name} is ${trade}.`, `${name} became a ${trade} long ago.`],
    questions: [`What is the trade of ${name}?`, `What does ${name} do?`, `Which trade has ${name}?`],
  }));
}

/** The answer first states the trade, from which the place follows, because each trade has one place. */
function workplaceFacts({ people }: World): Draft[] {
  return people.map(({ name, trade, workplace }) => {
    const answer = (value: string) => `${name} works as a ${value} at the ${workplaces[value]}.`;
    const otherPlaces = Object.values(workplaces).filter((place) => place !== workplace);
    return {
      subject: name,
      value: trade,
      answer,
      impossible: otherPlaces.map((place) => `${name} works as a ${trade} at the ${place}.`),
      statements: [answer(trade), `${name} works at the ${workplace}.`, `Every day ${name} goes to the ${workplace}.`],
      questions: [`Where does ${name} work?`, `At which place does ${name} work?`, `Where is the work of ${name}?`],
    };
  });
}

/** Rule: people live in streets. */
function streetFacts({ people }: World): Draft[] {
  return people.map(({ name, street }) => ({
    subject: name,
    value: street,
    answer: (value) => `${name} lives in ${value}.`,
    impossible: Object.values(workplaces).map((place) => `${name} lives in the ${place}.`),
    statements: [
      `${name} lives in ${street}.`,
      `The house of ${name} is in ${street}.`,
      `In the evening ${name} goes home to ${street}.`,
    ],
    questions: [`Where does ${name} live?`, `In which street is the house of ${name}?`, `Where is ${name} at home?`],
  }));
}

/** Rule: people like things. */
function tasteFacts({ people }: World): Draft[] {
  return people.map(({ name, likes }) => ({
    subject: name,
    value: `${likes.name}s`,
    answer: (value) => `${name} likes ${value}.`,
    impossible: streets.map((street) => `${name} likes ${street}.`),
    statements: [
      `${name} likes ${likes.name}s.`,
      `Nothing pleases ${name} more than ${likes.name}s.`,
      `The heart of ${name} is with ${likes.name}s.`,
    ],
    questions: [`What does ${name} like?`, `What pleases ${name}?`, `With what is the heart of ${name}?`],
  }));
}

/** Rule: not every place sells things. */
function shopFacts({ things }: World): Draft[] {
  const others = Object.values(workplaces).filter((place) => !shops.some((shop) => shop === place));
  return things.map(({ name, shop }) => ({
    subject: name,
    value: shop,
    answer: (value) => `People buy ${name}s at the ${value}.`,
    impossible: others.map((place) => `People buy ${name}s at the ${place}.`),
    statements: [
      `People buy ${name}s at the ${shop}.`,
      `The ${shop} sells ${name}s.`,
      `For ${name}s people go to the ${shop}.`,
    ],
    questions: [`Where do people buy ${name}s?`, `Which place sells ${name}s?`, `Where do people go for ${name}s?`],
  }));
}

/** Rule: nothing costs more than the highest price. */
function priceFacts({ things }: World): Draft[] {
  const tooDear = [1, 2, 3, 4].map((more) => inWords(Math.max(...prices) + more));
  return things.map(({ name, price }) => ({
    subject: name,
    value: inWords(price),
    answer: (value) => `One ${name} costs ${value} coins.`,
    impossible: tooDear.map((price) => `One ${name} costs ${price} coins.`),
    statements: [
      `One ${name} costs ${inWords(price)} coins.`,
      `The price of one ${name} is ${inWords(price)} coins.`,
      `For one ${name} people pay ${inWords(price)} coins.`,
    ],
    questions: [
      `What does one ${name} cost?`,
      `What is the price of one ${name}?`,
      `What do people pay for one ${name}?`,
    ],
  }));
}

/** How many of a thing are bought at a time. */
const counts = [2, 3] as const;

/** The answer first states the price of one, from which the total follows. */
function totalFacts({ things }: World): Draft[] {
  return things.flatMap(({ name, price }) =>
    counts.map((count) => {
      const goods = `${inWords(count)} ${name}s`;
      const sentence = (value: string, total: string) =>
        `${capital(goods)} cost ${inWords(count)} times ${value}, that is ${total} coins.`;
      const answer = (value: string) => sentence(value, inWords(count * fromWords(value)));
      const total = inWords(count * price);
      return {
        subject: name,
        value: inWords(price),
        answer,
        impossible: prices
          .filter((other) => other !== price)
          .map((other) => sentence(inWords(price), inWords(count * other))),
        statements: [
          answer(inWords(price)),
          `The price of ${goods} is ${total} coins.`,
          `For ${goods} people pay ${total} coins.`,
        ],
        questions: [`What do ${goods} cost?`, `What is the price of ${goods}?`, `What do people pay for ${goods}?`],
      };
    }),
  );
}

const shifts = [
  { name: 'one day after', days: 1 },
  { name: 'two days after', days: 2 },
  { name: 'one day before', days: -1 },
] as const;

/** Rule: no day comes before or after itself, and none comes after a day that comes after it. */
function dayFacts(): Draft[] {
  return shifts.flatMap((shift) =>
    days.map((day, index) => {
      const shifted = (by: number) => days[(index + by + days.length) % days.length] as string;
      const value = shifted(shift.days);
      const answer = (other: string) => `${capital(shift.name)} ${day} it is ${other}.`;
      return {
        subject: day,
        value,
        answer,
        impossible: [answer(day), answer(shifted(-shift.days))],
        statements: [
          `${capital(shift.name)} ${day} it is ${value}.`,
          `The day that comes ${shift.name} ${day} is ${value}.`,
          `It is ${value} ${shift.name} ${day}.`,
        ],
        questions: [`Which day comes ${shift.name} ${day}?`, `What day is it ${shift.name} ${day}?`],
      };
    }),
  );
}

/** What is in the text but never asked about, by subject: the phrasings of each statement. */
export function background(world: World): ReadonlyMap<string, readonly (readonly string[])[]> {
  const trades = Object.entries(workplaces).map(([trade, place]) => [
    `A ${trade} works at the ${place}.`,
    `At the ${place} there is work for a ${trade}.`,
  ]);
  const products = counts.flatMap((count) =>
    prices.map((price) => {
      const [times, product] = [`${capital(inWords(count))} times ${inWords(price)}`, inWords(count * price)];
      return [`${times} is ${product}.`, `${times}, that is ${product}.`];
    }),
  );
  return new Map([
    ['trades', trades],
    ['numbers', products],
    ...world.things.map(({ name, shop }) => [name, stock(name, shop)] as const),
  ]);
}

/** Mentions several of a thing without their price, so that every number also occurs before its name. */
function stock(name: string, shop: string): readonly (readonly string[])[] {
  return [counts.map((count) => `${capital(inWords(count))} ${name}s lie at the ${shop}.`)];
}

export function capital(text: string): string {
  return `${text[0]?.toUpperCase()}${text.slice(1)}`;
}
