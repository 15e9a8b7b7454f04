import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { RunError } from '../errors.ts';

/** A model behind an API that speaks OpenAI's chat completions. */
export interface ChatJudge {
  /** Up to and without `/chat/completions`: `http://127.0.0.1:8080/v1`. */
  url: string;
  model: string;
  /** Sent as a bearer token, where there is one. */
  key?: string | undefined;
  /** Milliseconds that an answer may take. */
  timeout?: number;
  /** Further attempts where the API is busy, fails or cannot be reached. */
  retries?: number;
  /** Milliseconds before the first further attempt; each pause is twice the one before. */
  pause?: number;
  /** Requests at a time. */
  atOnce?: number;
}

/** A question and the answers of the two who play. */
export interface Game {
  question: string;
  own: string;
  other: string;
}

export interface JudgedGames {
  /** Of each game: 1 for a win, 0 for a loss, ½ for a tie; undefined where a verdict could not be read. */
  scores: (number | undefined)[];
  /** Share of the games read in which both orders had the same outcome. */
  consistency: number;
  /** Share of all verdicts for the answer that stood first; ½ is fair. */
  firstShare: number;
}

type Verdict = 'A' | 'B' | 'tie';

const instruction = `You compare two answers to a question. Judge how helpful, right and to the point they are; their order and length do not count. Think briefly, then end with a line that holds nothing but your verdict: [[A]] where the first answer is better, [[B]] where the second is, [[C]] where neither is.`;

/**
 * Lets a judge compare the answers of each game twice, each of them standing first once (Zheng et al. 2023). A game is
 * won where both verdicts together are for the own answer; where they contradict each other it is a tie, as all games
 * are for a judge that goes by the position. Of equal answers it is not asked: they tie.
 * @throws RunError where the API refuses, or stays out of reach after all attempts
 */
export async function judgeGames(judge: ChatJudge, games: readonly Game[]): Promise<JudgedGames> {
  const asked = games.flatMap(({ question, own, other }) => [
    { question, first: own, second: other },
    { question, first: other, second: own },
  ]);
  const verdicts = await inParallel(asked, judge.atOnce ?? 4, async (one) =>
    one.first === one.second ? 'tie' : verdictOn(judge, one),
  );
  const scores: (number | undefined)[] = [];
  let [first, read, agreeing, played] = [0, 0, 0, 0];
  for (let game = 0; game < games.length; game++) {
    const [ownFirst, otherFirst] = [verdicts[2 * game], verdicts[2 * game + 1]];
    if (games[game]!.own === games[game]!.other) {
      scores.push(0.5);
      continue;
    }
    for (const verdict of [ownFirst, otherFirst]) {
      if (verdict === undefined) continue;
      read++;
      first += points(verdict);
    }
    if (ownFirst === undefined || otherFirst === undefined) {
      scores.push(undefined);
      continue;
    }
    const total = points(ownFirst) + 1 - points(otherFirst);
    scores.push((1 + Math.sign(total - 1)) / 2);
    played++;
    agreeing += Number(points(ownFirst) === 1 - points(otherFirst));
  }
  return { scores, consistency: agreeing / played, firstShare: first / read };
}

/** Below this share of equal outcomes in both orders, a judge's verdicts say more about the order than the answers. */
const enoughConsistency = 0.6;

/** What a reader of the win rate has to know, where the order sways the judge, or verdicts cannot be read. */
export function judgeRemark({ scores, consistency, firstShare }: JudgedGames): string | undefined {
  const unread = scores.filter((score) => score === undefined).length;
  const remarks = [
    unread > 0 && `${unread} of ${scores.length} games are left out, as the judge's verdict could not be read`,
    consistency < enoughConsistency &&
      `the judge contradicts itself in ${percentage(1 - consistency)} of the games when the answers are swapped, and prefers the first answer in ${percentage(firstShare)} of its verdicts`,
  ];
  return remarks.filter(Boolean).join('; ') || undefined;
}

const percentage = (share: number): string => `${Math.round(100 * share)} %`;

/** Of the answer that stands first. */
const points = (verdict: Verdict): number => ({ A: 1, B: 0, tie: 0.5 })[verdict];

/** Undefined where the reply ends in no verdict, or names several. */
async function verdictOn(
  judge: ChatJudge,
  { question, first, second }: { question: string; first: string; second: string },
): Promise<Verdict | undefined> {
  const content = `[Question]\n${question}\n\n[Answer A]\n${first}\n\n[Answer B]\n${second}`;
  const reply = await complete(judge, [
    { role: 'system', content: instruction },
    { role: 'user', content },
  ]);
  return readVerdict(reply);
}

/** The verdict on the last line of a reply that names no other. */
export function readVerdict(reply: string): Verdict | undefined {
  const named = new Set(reply.match(/\[\[[ABC]\]\]/g));
  const last = /(?:^|\n)\s*\[\[([ABC])\]\]\s*$/.exec(reply)?.[1];
  if (last === undefined || named.size !== 1) return undefined;
  return last === 'C' ? 'tie' : (last as 'A' | 'B');
}

const completion = z.object({
  choices: z.tuple([z.object({ message: z.object({ content: z.string() }) })], z.unknown()),
});

interface ChatMessage {
  role: 'system' | 'user';
  content: string;
}

async function complete(judge: ChatJudge, messages: readonly ChatMessage[]): Promise<string> {
  const { retries = 4, pause = 1000 } = judge;
  for (let attempt = 0; ; attempt++) {
    const reply = await post(judge, messages);
    if ('text' in reply) return reply.text;
    if (!reply.isPassing || attempt >= retries) throw new RunError(`the judge at ${judge.url} ${reply.failure}`, reply);
    await wait(reply.after ?? pause * 2 ** attempt);
  }
}

interface Failure {
  failure: string;
  /** Whether another attempt may succeed. */
  isPassing: boolean;
  /** Milliseconds that the API asks to wait. */
  after?: number | undefined;
  hint?: string;
}

async function post(judge: ChatJudge, messages: readonly ChatMessage[]): Promise<{ text: string } | Failure> {
  const { url, model, key, timeout = 60_000 } = judge;
  const headers = { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }) };
  const body = JSON.stringify({ model, messages, temperature: 0 });
  const signal = AbortSignal.timeout(timeout);
  try {
    const response = await fetch(`${url.replace(/\/+$/, '')}/chat/completions`, {
      method: 'POST',
      headers,
      body,
      signal,
    });
    const text = await response.text();
    if (!response.ok) return refusal(response, text);
    const parsed = completion.safeParse(jsonOf(text));
    if (parsed.success) return { text: parsed.data.choices[0].message.content };
    return { failure: `answers with no chat completion: ${shown(text)}`, isPassing: false };
  } catch (error) {
    if (signal.aborted) return { failure: `has not answered within ${timeout / 1000} s`, isPassing: true };
    const { cause, message } = error as Error & { cause?: Error };
    return { failure: `cannot be reached: ${cause?.message ?? message}`, isPassing: true };
  }
}

function refusal({ status, headers }: Response, text: string): Failure {
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  const isPassing = status === 408 || status === 409 || status === 429 || status >= 500;
  return {
    failure: `answers ${status}: ${shown(text)}`,
    isPassing,
    after: seconds >= 0 ? 1000 * seconds : undefined,
    ...(status === 401 || status === 403
      ? { hint: 'set the key of the API in the environment variable OPENAI_API_KEY' }
      : {}),
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const shown = (text: string): string => JSON.stringify(text.slice(0, 200));

/** The results of all items in their order, `atOnce` of them being worked on. */
async function inParallel<T, R>(items: readonly T[], atOnce: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index]!);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  return results;
}
