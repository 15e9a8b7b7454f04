import { RandomStream } from '../../random.ts';
import { days, inWords, shops, type World, workplaces } from './world.ts';

/** Something true in the world, the ways to state it and the ways to ask for it. */
export interface Fact {
  relation: string;
  /** Who or what the fact is about: documents are put together by it. */
  subject: string;
  answer: string;
  /** Sentences of the pre-training text; none for a fact that has to be inferred by a rule. */
  statements: readonly string[];
  questions: readonly string[];
  /** True where no question for the fact may be trained, in any phrasing. */
  neverAsked: boolean;
}

type Draft = Omit<Fact, 'relation' | 'neverAsked'>;

/** Share of each relation's facts that no trained row asks for. */
const neverAskedShare = 1 / 4;

/**
 * All facts that can be asked for. In the relations that follow from a rule (a place of work from the trade, a total
 * from the price), the facts that are never asked are not stated either: they have to be inferred.
 */
export function createFacts(world: World, seed: number): Fact[] {
  const relations: [name: string, inferable: boolean, facts: Draft[]][] = [
    ['trade', false, trades(world)],
    ['workplace', true, workplacesOf(world)],
    ['street', false, streets(world)],
    ['taste', false, tastes(world)],
    ['shop', false, shopsOf(world)],
    ['price', false, prices(world)],
    ['total', true, totals(world)],
    ['closed', false, closedDays(world)],
    ['day', false, dayShifts()],
  ];
  return relations.flatMap(([relation, inferable, facts]) => {
    const order = new RandomStream(seed, `town/never-asked/${relation}`).shuffle(facts.map((_, index) => index));
    const hidden = new Set(order.slice(0, Math.round(facts.length * neverAskedShare)));
    return facts.map((fact, index) => {
      const neverAsked = hidden.has(index);
      return { ...fact, relation, neverAsked, statements: neverAsked && inferable ? [] : fact.statements };
    });
  });
}

function trades({ people }: World): Draft[] {
  return people.map(({ name, trade }) => ({
    subject: name,
    answer: trade,
    statements: [`${name} is a ${trade}.`, `The trade of ${name} is ${trade}.`, `${name} became a ${trade} long ago.`],
    questions: [`What is the trade of ${name}?`, `What does ${name} do?`, `Which trade has ${name}?`],
  }));
}

function workplacesOf({ people }: World): Draft[] {
  return people.map(({ name, workplace }) => ({
    subject: name,
    answer: `the ${workplace}`,
    statements: [
      `${name} works at the ${workplace}.`,
      `Every day ${name} goes to the ${workplace}.`,
      `The work of ${name} is at the ${workplace}.`,
    ],
    questions: [`Where does ${name} work?`, `At which place does ${name} work?`, `Where is the work of ${name}?`],
  }));
}

function streets({ people }: World): Draft[] {
  return people.map(({ name, street }) => ({
    subject: name,
    answer: street,
    statements: [
      `${name} lives in ${street}.`,
      `The house of ${name} is in ${street}.`,
      `In the evening ${name} goes home to ${street}.`,
    ],
    questions: [`Where does ${name} live?`, `In which street is the house of ${name}?`, `Where is ${name} at home?`],
  }));
}

function tastes({ people }: World): Draft[] {
  return people.map(({ name, likes }) => ({
    subject: name,
    answer: `${likes.name}s`,
    statements: [
      `${name} likes ${likes.name}s.`,
      `Nothing pleases ${name} more than ${likes.name}s.`,
      `The heart of ${name} is with ${likes.name}s.`,
    ],
    questions: [`What does ${name} like?`, `What pleases ${name}?`, `With what is the heart of ${name}?`],
  }));
}

function shopsOf({ things }: World): Draft[] {
  return things.map(({ name, shop }) => ({
    subject: name,
    answer: `the ${shop}`,
    statements: [
      `The ${shop} sells ${name}s.`,
      `${capital(name)}s are sold at the ${shop}.`,
      `For ${name}s people go to the ${shop}.`,
    ],
    questions: [`Where are ${name}s sold?`, `Which place sells ${name}s?`, `Where do people go for ${name}s?`],
  }));
}

function prices({ things }: World): Draft[] {
  return things.map(({ name, price }) => ({
    subject: name,
    answer: `${inWords(price)} coins`,
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

function totals({ things }: World): Draft[] {
  const several = [2, 3];
  return things.flatMap(({ name, price }) =>
    several.map((count) => ({
      subject: name,
      answer: `${inWords(count * price)} coins`,
      statements: [
        `${capital(inWords(count))} ${name}s cost ${inWords(count * price)} coins.`,
        `The price of ${inWords(count)} ${name}s is ${inWords(count * price)} coins.`,
        `For ${inWords(count)} ${name}s people pay ${inWords(count * price)} coins.`,
      ],
      questions: [
        `What do ${inWords(count)} ${name}s cost?`,
        `What is the price of ${inWords(count)} ${name}s?`,
        `What do people pay for ${inWords(count)} ${name}s?`,
      ],
    })),
  );
}

function closedDays({ closed }: World): Draft[] {
  return [...closed].map(([shop, day]) => ({
    subject: shop,
    answer: day,
    statements: [
      `The ${shop} is closed on ${day}.`,
      `On ${day} the ${shop} is closed.`,
      `The day of rest at the ${shop} is ${day}.`,
    ],
    questions: [
      `When is the ${shop} closed?`,
      `On which day is the ${shop} closed?`,
      `What is the day of rest at the ${shop}?`,
    ],
  }));
}

const shifts = [
  { name: 'one day after', days: 1 },
  { name: 'two days after', days: 2 },
  { name: 'one day before', days: -1 },
] as const;

function dayShifts(): Draft[] {
  return shifts.flatMap((shift) =>
    days.map((day, index) => {
      const answer = days[(index + shift.days + days.length) % days.length] as string;
      return {
        subject: day,
        answer,
        statements: [
          `The day that comes ${shift.name} ${day} is ${answer}.`,
          `${capital(shift.name)} ${day} it is ${answer}.`,
          `It is ${answer} ${shift.name} ${day}.`,
        ],
        questions: [`Which day comes ${shift.name} ${day}?`, `What day is it ${shift.name} ${day}?`],
      };
    }),
  );
}

/** Rules and lists that stand in the text but are not asked for, by subject. */
export function background(world: World): ReadonlyMap<string, readonly string[]> {
  const rules = Object.entries(workplaces).map(
    ([trade, place]) =>
      [trade, [`A ${trade} works at the ${place}.`, `At the ${place} there is work for a ${trade}.`]] as const,
  );
  const goods = shops.map((shop) => {
    const names = world.things.filter((thing) => thing.shop === shop).map(({ name }) => `${name}s`);
    return [shop, [`At the ${shop} there are ${names.join(' and ')}.`]] as const;
  });
  return new Map<string, readonly string[]>([...rules, ...goods]);
}

function capital(text: string): string {
  return `${text[0]?.toUpperCase()}${text.slice(1)}`;
}
