import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { judgeGames, judgeRemark, readVerdict } from '../../src/evaluation/chat-judge.ts';

type Answer = (
  body: { messages: { content: string }[]; model: string },
  request: IncomingMessage,
  count: number,
) => string | { status: number; headers?: Record<string, string>; text?: string } | undefined;

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** A judge on the loopback that says what `answer` returns; nothing is never answered. */
async function judge(answer: Answer) {
  let count = 0;
  server = createServer((request: IncomingMessage, response: ServerResponse) => {
    let text = '';
    request.on('data', (part) => {
      text += part;
    });
    request.on('end', () => {
      const said = answer(JSON.parse(text), request, ++count);
      if (said === undefined) return;
      const {
        status,
        headers = {},
        text: body,
      } = typeof said === 'string'
        ? { status: 200, text: JSON.stringify({ choices: [{ message: { content: said } }] }) }
        : { text: '', ...said };
      response.writeHead(status, headers).end(body);
    });
  });
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/v1/`, model: 'judge', pause: 1, requests: () => count };
}

const games = [
  { question: 'q1', own: 'good', other: 'bad' },
  { question: 'q2', own: 'bad', other: 'good' },
  { question: 'q3', own: 'good', other: 'good' },
];

/** Prefers the answer that is `good`. */
const fair: Answer = ({ messages }) => {
  const [, first, second] = /\[Answer A\]\n(.*)\n\n\[Answer B\]\n(.*)$/.exec(messages[1]!.content)!;
  return first === second ? 'Alike.\n[[C]]' : `One is better.\n[[${first === 'good' ? 'A' : 'B'}]]`;
};

describe('a judge behind an API', () => {
  test('judges each game in both orders, and is not asked of equal answers', async () => {
    const at = await judge(fair);
    expect(await judgeGames(at, games)).toEqual({ scores: [1, 0, 0.5], consistency: 1, firstShare: 0.5 });
    expect(at.requests()).toBe(4);
  });

  test('that always prefers the first answer gives ties alone, and is noticed', async () => {
    const found = await judgeGames(await judge(() => '[[A]]'), games);
    expect(found).toEqual({ scores: [0.5, 0.5, 0.5], consistency: 0, firstShare: 1 });
    expect(judgeRemark(found)).toContain('prefers the first answer in 100 %');
  });

  test('is asked with the model and the key', async () => {
    const seen: unknown[] = [];
    const at = await judge((body, request) => {
      seen.push([body.model, request.url, request.headers.authorization]);
      return '[[C]]';
    });
    await judgeGames({ ...at, key: 'secret' }, games.slice(0, 1));
    expect(seen[0]).toEqual(['judge', '/v1/chat/completions', 'Bearer secret']);
  });

  test('is asked again while it is busy, fails or says nothing', async () => {
    const at = await judge((body, request, count) => {
      if (count === 1) return { status: 429, headers: { 'retry-after': '0' } };
      if (count === 2) return { status: 503 };
      return count === 3 ? undefined : fair(body, request, count);
    });
    const found = await judgeGames({ ...at, timeout: 200, atOnce: 1 }, games.slice(0, 1));
    expect(found.scores).toEqual([1]);
    expect(at.requests()).toBe(5);
  });

  test.each<[string, Answer, string]>([
    ['stays busy', () => ({ status: 500, text: 'no memory' }), 'answers 500: "no memory"'],
    ['refuses the key', () => ({ status: 401, text: 'who?' }), 'answers 401: "who?"'],
    ['is something else', () => ({ status: 200, text: '<html>' }), 'answers with no chat completion: "<html>"'],
    ['never answers', () => undefined, 'has not answered within 0.1 s'],
  ])('that %s is an error', async (_, answer, message) => {
    const at = await judge(answer);
    const timeout = message.includes('within') ? 100 : 60_000;
    const judged = judgeGames({ ...at, retries: 1, timeout }, games.slice(0, 1));
    await expect(judged).rejects.toThrow(message);
  });

  test('whose verdict cannot be read leaves the game out', async () => {
    const at = await judge((body, request, count) => (count === 1 ? 'I like both.' : fair(body, request, count)));
    const { scores } = await judgeGames({ ...at, atOnce: 1 }, games);
    expect(scores).toEqual([undefined, 0, 0.5]);
    expect(judgeRemark({ scores, consistency: 1, firstShare: 0.5 })).toContain('1 of 3 games are left out');
  });
});

test.each([
  ['[[A]]', 'A'],
  ['It is fine.\n\n [[B]] \n', 'B'],
  ['[[C]]', 'tie'],
  ['A', undefined],
  ['[[A]] because it is better', undefined],
  ['not [[A]]\n[[B]]', undefined],
  ['Better: [[A]]', undefined],
  ['[[D]]', undefined],
  ['', undefined],
])('the verdict of %j', (reply, verdict) => {
  expect(readVerdict(reply)).toBe(verdict);
});
