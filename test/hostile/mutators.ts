import { isMap, isScalar, isSeq, type Node, Pair, parseDocument, visit } from 'yaml';
import type { RandomStream } from '../../src/random.ts';

/** Makes a hostile input out of a valid one; all that it draws comes from the stream. */
export type Mutator = (input: Buffer, random: RandomStream) => Buffer;

const pick = <T>(from: readonly T[], random: RandomStream): T => from[random.integer(from.length)]!;

/** Stands for nesting that no tree can hold while it is changed; replaced in the text. */
const deep = '@@deep@@';

const inherited = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'valueOf',
  '__defineGetter__',
];

const texts = [
  '',
  ' ',
  '\0',
  '\u001b[2J\u001b]0;owned\u0007',
  '\u202egnp.exe',
  '\u2028',
  '\ufeff',
  '\ud800',
  'ﷺ'.repeat(50),
  'e\u0301'.repeat(100),
  'a'.repeat(100_000),
  '(a+)+$',
  '../../../../etc/passwd',
  '/dev/zero',
  '\u0024{x}',
  '{{ x }}',
  'NaN',
  'Infinity',
  '1e999',
  '0x10',
  'null',
  'true',
  ...inherited,
];

const numbers = [
  0,
  -0,
  -1,
  1,
  0.5,
  -0.5,
  1e-320,
  1e308,
  -1e308,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  2 ** 53 + 2,
  1e21,
  255,
  256,
  65_536,
  1e9,
];

const values = (random: RandomStream): unknown =>
  pick<() => unknown>(
    [
      () => null,
      () => random.uniform() < 0.5,
      () => pick(numbers, random),
      () => random.integer(1000),
      () => pick(texts, random),
      () => [],
      () => ({}),
      () => [null],
      () => Array.from({ length: 1000 }, () => 0),
      () => ({ [pick(inherited, random)]: pick(numbers, random) }),
      () => deep,
    ],
    random,
  )();

/** Every place in a JSON value: what holds it, and under which key. */
function places(root: unknown): [holder: Record<string, unknown>, key: string][] {
  const found: [Record<string, unknown>, string][] = [];
  const waiting = [root];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (typeof next !== 'object' || next === null) continue;
    for (const key of Object.keys(next)) {
      found.push([next as Record<string, unknown>, key]);
      waiting.push((next as Record<string, unknown>)[key] ?? null);
    }
  }
  return found;
}

/** Defines a key, `__proto__` too, which an assignment would not. */
function define(holder: object, key: string, value: unknown): void {
  if (Array.isArray(holder) && /^\d+$/.test(key)) holder[Number(key)] = value;
  else Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
}

/** Changes a JSON value in one place. */
function changeTree(root: unknown, random: RandomStream): unknown {
  const all = places({ root });
  const [holder, key] = pick(all, random);
  const value = holder[key];
  const other = pick(all, random);
  const changes: (() => void)[] = [
    () => define(holder, key, values(random)),
    () => define(holder, key, values(random)),
    () => (Array.isArray(holder) ? holder.splice(Number(key), 1) : delete holder[key]),
    () => define(holder, pick(inherited, random), values(random)),
    () => define(holder, `${key}x`, value),
    () => define(holder, key, [value]),
    () => define(holder, key, { [key]: value }),
    () => define(holder, key, typeof value === 'number' ? String(value) : String(JSON.stringify(value)).length),
    () =>
      define(
        holder,
        key,
        typeof value === 'number' ? pick([-value, value * 1e6, value + 0.5, value - 1], random) : value,
      ),
    () => define(holder, key, structuredClone(other[0][other[1]])),
    () => Array.isArray(value) && value.push(...structuredClone(value.slice(0, 1000))),
    () => Array.isArray(value) && value.reverse(),
    () => typeof value === 'string' && define(holder, key, value + pick(texts, random)),
  ];
  pick(changes, random)();
  return holder === all[0]![0] ? holder.root : root;
}

function withDepth(text: string, random: RandomStream, quote = '"'): string {
  const depth = pick([70, 600, 20_000], random);
  const [open, close] = pick(
    [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const,
    random,
  );
  return text.replaceAll(`${quote}${deep}${quote}`, `${open.repeat(depth)}0${close.repeat(depth)}`);
}

/** A JSON value changed in one to three places. */
export const mutateJson: Mutator = (input, random) => {
  let value: unknown = JSON.parse(input.toString('utf8'));
  for (let times = 1 + random.integer(3); times > 0; times--) value = changeTree(value, random);
  return Buffer.from(withDepth(JSON.stringify(value) ?? '', random));
};

/** One line of a JSONL file changed as JSON. */
export const mutateJsonLines: Mutator = (input, random) => {
  const lines = input.toString('utf8').trimEnd().split('\n');
  const at = random.integer(lines.length);
  lines[at] = mutateJson(Buffer.from(lines[at]!), random).toString('utf8');
  return Buffer.from(`${lines.join('\n')}\n`);
};

/** YAML changed as the tree that it is: values, keys, anchors and aliases. */
export const mutateYaml: Mutator = (input, random) => {
  const document = parseDocument(input.toString('utf8'));
  const nodes: Node[] = [];
  visit(document, { Node: (_, node) => void nodes.push(node as Node) });
  for (let times = 1 + random.integer(3); times > 0; times--) {
    const node = pick(nodes, random);
    const [value, key] = [document.createNode(values(random)), pick([...inherited, ...texts.slice(0, 8)], random)];
    if (isScalar(node)) node.value = isScalar(value) ? value.value : random.integer(100);
    else if (isMap(node)) {
      const change = random.integer(3);
      if (change === 0) node.items.push(new Pair(document.createNode(key), value));
      else if (change === 1) node.items.splice(random.integer(node.items.length), 1);
      else node.items.push(...node.items.slice(0, 1));
    } else if (isSeq(node)) node.items.push(value);
    if (random.uniform() < 0.1 && !('source' in node && node.source === undefined))
      Object.assign(node, { anchor: 'a' });
  }
  const text = document.toString({ verifyAliasOrder: false });
  const aliased = random.uniform() < 0.1 ? text.replace(/: (\w+)$/m, ': *a') : text;
  return Buffer.from(withDepth(aliased.replaceAll(deep, `"${deep}"`).replaceAll(`""${deep}""`, `"${deep}"`), random));
};

/** Text changed as text: letters, lines, numbers, names, brackets. */
export const mutateText: Mutator = (input, random) => {
  let text = input.toString('utf8');
  for (let times = 1 + random.integer(3); times > 0; times--) {
    const at = random.integer(text.length + 1);
    const to = Math.min(text.length, at + 1 + random.integer(20));
    const lines = text.split('\n');
    const line = random.integer(lines.length);
    const changes: (() => string)[] = [
      () => text.slice(0, at) + pick(texts, random) + text.slice(at),
      () =>
        text.slice(0, at) +
        pick(['[', '{', '"', "'", ':', '- ', '\t', '\n', ',', '}', ']', '#', '&a ', '*a', '!!x ', '%'], random) +
        text.slice(at),
      () => text.slice(0, at) + text.slice(to),
      () => text.slice(0, at),
      () => text.slice(0, to) + text.slice(at),
      () => text.replace(/\d+(\.\d+)?/, String(pick(numbers, random))),
      () => text.slice(0, at) + text.slice(at).replace(/\d+(\.\d+)?/, String(pick(numbers, random))),
      () => text.slice(0, at) + text.slice(at).replace(/[A-Za-z_]\w*/, pick([...inherited, ...texts], random)),
      () =>
        text.slice(0, at) +
        pick(['[', '{', '(', '- ', '{a: ', '{{', '? '], random).repeat(pick([70, 20_000], random)) +
        text.slice(at),
      () => [...lines.slice(0, line), lines[line]!, ...lines.slice(line)].join('\n'),
      () => [...lines.slice(0, line), ...lines.slice(line + 1)].join('\n'),
      () => lines.map((one, i) => (i === line ? ` ${one}` : one)).join('\n'),
      () => text.replaceAll('\n', '\r\n'),
    ];
    text = pick(changes, random)();
  }
  return Buffer.from(text);
};

/** Bytes changed without regard to what they mean. */
export const mutateBytes: Mutator = (input, random) => {
  let bytes = Buffer.from(input);
  for (let times = 1 + random.integer(4); times > 0; times--) {
    const at = random.integer(bytes.length + 1);
    const changes: (() => Buffer)[] = [
      () => {
        if (bytes.length > 0) bytes[at % bytes.length]! ^= 1 << random.integer(8);
        return bytes;
      },
      () => {
        if (bytes.length > 0) bytes[at % bytes.length] = pick([0, 0x22, 0x5c, 0x7b, 0x80, 0xc0, 0xff], random);
        return bytes;
      },
      () => bytes.subarray(0, at),
      () => bytes.subarray(at),
      () => Buffer.concat([bytes.subarray(0, at), Buffer.from([random.integer(256)]), bytes.subarray(at)]),
      () => Buffer.concat([bytes, bytes.subarray(at)]),
      () => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes]),
      () => Buffer.from(bytes.toString('utf8'), 'utf16le'),
      () => Buffer.concat([bytes.subarray(0, at), Buffer.alloc(1000), bytes.subarray(at)]),
    ];
    bytes = Buffer.from(pick(changes, random)());
  }
  return bytes;
};
