import { RandomStream } from '../../random.ts';

/** The size of the world. A model of a million parameters can learn the default one in a few minutes. */
export interface TownSize {
  /** At most 32. */
  people: number;
  /** At most 16, spread over the shops. */
  things: number;
  /** Number of documents of the text; the last twentieth is held out. */
  documents: number;
}

export const defaultSize: TownSize = { people: 24, things: 16, documents: 10_000 };

export interface Person {
  name: string;
  trade: string;
  /** Follows from the trade. */
  workplace: string;
  street: string;
  likes: Thing;
}

export interface Thing {
  /** Singular; the plural adds an s. */
  name: string;
  shop: string;
  /** Price of one, in coins. */
  price: number;
}

export interface World {
  people: readonly Person[];
  things: readonly Thing[];
}

export const days = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'] as const;

/** The place of work of each trade. */
export const workplaces: Readonly<Record<string, string>> = {
  baker: 'bakery',
  smith: 'forge',
  miller: 'mill',
  teacher: 'school',
  doctor: 'clinic',
  farmer: 'farm',
  sailor: 'harbour',
  trader: 'market',
};

export const shops = ['bakery', 'forge', 'farm', 'market'] as const;

const names = (
  'Anna Ben Carl Dora Emil Fay Gus Hilda Ivan June Kurt Lena Max Nora Otto Pia ' +
  'Rosa Sam Tess Udo Vera Will Yann Zoe Abel Bea Clem Dina Ed Fritz Greta Hugo'
).split(' ');
const things = 'cake key egg hat pie nail apple lamp roll bell pear rope bun pot plum cup'.split(' ');
export const streets = ['Elm', 'Oak', 'Hill', 'Lake', 'Rose', 'Park', 'King', 'Bridge'].map((name) => `${name} Street`);
/** The possible prices of a thing, in coins. */
export const prices = [2, 3, 4, 5, 6] as const;

/** Generates a world, which only depends on size and seed. */
export function createWorld(size: TownSize, seed: number): World {
  const random = new RandomStream(seed, 'town/world');
  const sellers = dealt(shops, size.things, random);
  const costs = dealt(prices, size.things, random);
  const goods = things.slice(0, size.things).map((name, index) => ({
    name,
    shop: sellers[index] as string,
    price: costs[index] as number,
  }));
  const trades = dealt(Object.keys(workplaces), size.people, random);
  const homes = dealt(streets, size.people, random);
  const tastes = dealt(goods, size.people, random);
  const people = names.slice(0, size.people).map((name, index) => ({
    name,
    trade: trades[index] as string,
    workplace: workplaces[trades[index] as string] as string,
    street: homes[index] as string,
    likes: tastes[index] as Thing,
  }));
  return { people, things: goods };
}

/** `count` items in random order, in which all items of the list occur equally often, up to one. */
function dealt<T>(items: readonly T[], count: number, random: RandomStream): T[] {
  const deck = random.shuffle([...items]);
  return random.shuffle(Array.from({ length: count }, (_, index) => deck[index % deck.length] as T));
}

const numbers =
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen'.split(
    ' ',
  );

/** A number from zero to eighteen in words. */
export function inWords(number: number): string {
  return numbers[number] as string;
}

export function fromWords(word: string): number {
  return numbers.indexOf(word);
}
