import { RandomStream } from '../../random.ts';
import { days, fromWords, inWords, shops, type World, workplaces } from './world.ts';

/** Something true in the world, the ways to state it and the ways to ask for it. */
export interface Fact {
  relation: string;
  /** Who or what the fact is about: documents are put together by it. */
  subject: string;
  /** What is true of the subject; the other facts of the relation have other values. */
  value: string;
  /** The sentence that answers a question for the fact, had it this value. */
  answer(value: string): string;
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
    value: trade,
    answer: (value) => `${name} is a ${value}.`,
    statements: [`${name} is a ${trade}.`, `The trade of ${name} is ${trade}.`, `${name} became a ${trade} long ago.`],
    questions: [`What is the trade of ${name}?`, `What does ${name} do?`, `Which trade has ${name}?`],
  }));
}

/** The answer goes by way of the trade, from which the place follows. */
function workplacesOf({ people }: World): Draft[] {
  return people.map(({ name, trade, workplace }) => {
    const answer = (value: string) => `${name} works as a ${value} at the ${workplaces[value]}.`;
    return {
      subject: name,
      value: trade,
      answer,
      statements: [answer(trade), `${name} works at the ${workplace}.`, `Every day ${name} goes to the ${workplace}.`],
      questions: [`Where does ${name} work?`, `At which place does ${name} work?`, `Where is the work of ${name}?`],
    };
  });
}

function streets({ people }: World): Draft[] {
  return people.map(({ name, street }) => ({
    subject: name,
    value: street,
    answer: (value) => `${name} lives in ${value}.`,
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
    value: `${likes.name}s`,
    answer: (value) => `${name} likes ${value}.`,
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
    value: shop,
    answer: (value) => `The ${value} sells ${name}s.`,
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
    value: inWords(price),
    answer: (value) => `One ${name} costs ${value} coins.`,
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

/** The answer goes by way of the price of one, from which the total follows. */
function totals({ things }: World): Draft[] {
  const several = [2, 3];
  return things.flatMap(({ name, price }) =>
    several.map((count) => {
      const goods = `${inWords(count)} ${name}s`;
      const answer = (value: string) => {
        const sum = inWords(count * fromWords(value));
        return `${capital(goods)} cost ${inWords(count)} times ${value}, that is ${sum} coins.`;
      };
      const total = inWords(count * price);
      return {
        subject: name,
        value: inWords(price),
        answer,
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

function closedDays({ closed }: World): Draft[] {
  return [...closed].map(([shop, day]) => ({
    subject: shop,
    value: day,
    answer: (value) => `The ${shop} is closed on ${value}.`,
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
      const value = days[(index + shift.days + days.length) % days.length] as string;
      return {
        subject: day,
        value,
        answer: (other) => `${capital(shift.name)} ${day} it is ${other}.`,
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
