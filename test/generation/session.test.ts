import { getEventListeners } from 'node:events';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { collect } from '../../src/generation/generate.ts';
import type { GeneratedToken, GenerationRequest } from '../../src/generation/request.ts';
import { greedy, unfiltered } from '../../src/generation/sampler.ts';
import { openSession, type Session } from '../../src/generation/session.ts';
import { releaseModel } from '../../src/model/model.ts';
import { createNativeBackend } from '../../src/tensor/backends/native/backend.ts';
import { nativeAvailability } from '../../src/tensor/backends/native/build.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { smallModel } from './small-model.ts';

const { available } = await nativeAvailability();
const backends = [
  new PortableBackend('f64'),
  ...(available ? [await createNativeBackend({ precision: 'bf16', threads: 2 })] : []),
];

const prompt = (...ids: number[]): Int32Array => Int32Array.from(ids);

/** Texts of unlike lengths, stops and sampling. */
const requests: readonly GenerationRequest[] = [
  { prompt: prompt(3), maxNewTokens: 12, stopIds: [] },
  { prompt: prompt(1, 2, 3, 4, 5), maxNewTokens: 5, stopIds: [], sampling: unfiltered, seed: 3, logProbs: true },
  { prompt: prompt(7, 18), maxNewTokens: 14, stopIds: [2, 5, 11], sampling: { ...unfiltered, topK: 4 }, seed: 3 },
  { prompt: prompt(7, 18), maxNewTokens: 14, stopIds: [2], sampling: { ...unfiltered, topP: 0.8 }, seed: 3, index: 1 },
  { prompt: prompt(9, 9, 9), maxNewTokens: 9, stopIds: [], sampling: { ...greedy, repetitionPenalty: 3 } },
  { prompt: prompt(4), maxNewTokens: 1, stopIds: [], sampling: { ...unfiltered, temperature: 3 }, logProbs: true },
  { prompt: prompt(16, 0), maxNewTokens: 13, stopIds: [], sampling: { ...unfiltered, minP: 0.2, temperature: 2 } },
];

describe.each(backends.map((backend) => [backend.name, backend] as const))('a session on %s', async (_, backend) => {
  const model = await smallModel(backend);
  const { used } = backend.memory();
  let session: Session;

  beforeEach(() => {
    session = openSession(model, { sequences: 3, capacity: 16 });
    return async () => {
      await session.release();
      expect(backend.memory().used).toBe(used);
    };
  });
  afterAll(async () => {
    releaseModel(model);
    await backend.dispose();
  });

  const alone = async (request: GenerationRequest) => {
    const capacity = request.prompt.length + request.maxNewTokens;
    const ofIt = openSession(model, { sequences: 1, capacity });
    const text = await collect(ofIt.submit(request));
    await ofIt.release();
    return text;
  };
  const idsOf = (tokens: readonly GeneratedToken[]) => tokens.map(({ id }) => id);

  test('makes of each request what it makes of it alone, whatever stands beside it and whenever it came', async () => {
    const expected = await Promise.all(requests.map(alone));
    const abort = new AbortController();
    const givenUp = session.submit({ ...requests[6]!, signal: abort.signal });
    const left = session.submit({ ...requests[6]!, seed: 9 });
    const early = requests.slice(0, 5).map((request) => collect(session.submit(request)));
    const read = [await givenUp.next(), await givenUp.next(), await left.next()];
    const late = requests.slice(5).map((request) => collect(session.submit(request)));
    abort.abort();
    await left.return();

    expect(await Promise.all([...early, ...late])).toEqual(expected);
    expect(read.slice(0, 2).map(({ value }) => value!.id)).toEqual([...expected[6]!.tokens.subarray(0, 2)]);
    expect(new Set(expected.map(({ tokens }) => tokens.length)).size).toBeGreaterThan(4);
    expect(expected[1]!.logProbs).toHaveLength(5);
    expect(expected[0]!.logProbs).toBe(undefined);
    expect(expected[3]!.tokens).not.toEqual((await alone({ ...requests[3]!, index: 2 })).tokens);
  });

  test('gives tokens as they are made, and with the last one why it is that', async () => {
    const whole = await alone(requests[0]!);
    const stop = whole.tokens[4]!;
    const first = whole.tokens.indexOf(stop);
    const tokens: GeneratedToken[] = [];
    for await (const token of session.submit({ ...requests[0]!, stopIds: [stop] })) tokens.push(token);
    expect(idsOf(tokens)).toEqual([...whole.tokens.subarray(0, first + 1)]);
    expect(tokens.map(({ end }) => end)).toEqual([...Array(first), 'stop']);
    const cut: GeneratedToken[] = [];
    for await (const token of session.submit({ ...requests[0]!, maxNewTokens: 2 })) cut.push(token);
    expect(cut.map(({ end }) => end)).toEqual([undefined, 'length']);
    expect(await collect(session.submit({ ...requests[0]!, maxNewTokens: 0 }))).toMatchObject({ tokens: prompt() });
  });

  test('steps when it is told to, and keeps what was made until it is read', async () => {
    const stream = session.submit(requests[0]!);
    // A backend that draws by itself reads tokens one step later.
    for (let step = 0; step < 4; step++) await session.step();
    expect(stream.isClosed).toBe(false);
    for (let step = 0; step < 20; step++) await session.step();
    expect(stream.isClosed).toBe(true);
    expect(await collect(stream)).toEqual(await alone(requests[0]!));
  });

  test.each<[string, Partial<GenerationRequest>, RegExp]>([
    ['more tokens than it holds', { maxNewTokens: 14 }, /^1 problem.*\n.*the prompt has 3 tokens and up to 14 more/s],
    ['an empty prompt', { prompt: prompt(), name: 'prompt 4' }, /prompt 4 is empty/],
    ['a token that the model has not', { prompt: prompt(3, 19) }, /token id 19, but the model has tokens 0 to 18/],
    ['sampling that is none', { sampling: { ...greedy, topP: 0 } }, /sampling.topP: found 0, expected/],
    ['a number of tokens that is none', { maxNewTokens: 2.5 }, /maxNewTokens: found 2.5, expected/],
  ])('refuses %s before anything is computed, and only that request', async (_, wrong, message) => {
    const good = session.submit(requests[0]!);
    expect(() => session.submit({ prompt: prompt(1, 2, 3), maxNewTokens: 13, stopIds: [], ...wrong })).toThrow(message);
    expect(await collect(good)).toEqual(await alone(requests[0]!));
  });

  test('of more tokens than the context is refused', () => {
    const capacity = model.config.maxLength + 1;
    expect(() => openSession(model, { sequences: 1, capacity })).toThrow(`the model's context is ${capacity - 1}`);
  });

  test('that is released ends the streams that are open, those that wait, and what somebody waits for', async () => {
    const streams = Array.from({ length: 5 }, () => session.submit(requests[0]!));
    const read = await streams[0]!.next();
    const texts = Promise.all(streams.map(collect));
    await session.step();
    await session.release();
    expect(read.done).toBe(false);
    const lengths = (await texts).map(({ tokens }) => tokens.length);
    expect(Math.max(...lengths)).toBeGreaterThan(0);
    expect(Math.max(...lengths)).toBeLessThan(requests[0]!.maxNewTokens);
    expect(lengths.slice(3)).toEqual([0, 0]);
    expect(() => session.submit(requests[0]!)).toThrow('the session was released');
  });

  test('gives the places of requests that are given up to those that wait', async () => {
    const held = [0, 1, 2].map(() => session.submit({ ...requests[0]!, maxNewTokens: 15 }));
    const abort = new AbortController();
    const waiting = session.submit({ ...requests[2]!, signal: abort.signal });
    const next = collect(session.submit(requests[0]!));
    for await (const _ of held[0]!) break;
    abort.abort();
    expect(await waiting.next()).toEqual({ value: undefined, done: true });
    // The other two hold their places: what comes next has that of the loop that was left.
    expect(await next).toEqual(await alone(requests[0]!));
    expect(await collect(held[0]!)).toMatchObject({ tokens: prompt() });
    await held[1]!.return();
    // Nobody reads the third; it ends by itself.
    expect(await collect(session.submit(requests[4]!))).toEqual(await alone(requests[4]!));
    const aborted = session.submit({ ...requests[0]!, signal: AbortSignal.abort() });
    expect(await collect(aborted)).toMatchObject({ tokens: prompt() });
  });

  test('throws what went wrong in a step in all its streams, and can be released then', async () => {
    const lost = await smallModel(backend);
    const failing = openSession(lost, { sequences: 2, capacity: 16 });
    const streams = requests.slice(0, 3).map((request) => failing.submit(request));
    await streams[0]!.next();
    releaseModel(lost);
    for (const text of await Promise.allSettled(streams.map(collect))) {
      expect(text).toMatchObject({ status: 'rejected', reason: { message: expect.stringMatching('was released') } });
    }
    await failing.release();
  });

  test('leaves nothing at a signal that outlives its request', async () => {
    const { signal } = new AbortController();
    await collect(session.submit({ ...requests[5]!, signal }));
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});
