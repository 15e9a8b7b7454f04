import { notFinite, RequestError } from '../errors.ts';
import type { Model } from '../model/model.ts';
import { RandomStream } from '../random.ts';
import { type Draw, openSampler } from './batch-sampler.ts';
import { type NewTokens, openDecoder } from './decoder.ts';
import { checkRequest, type GenerationRequest, type WholeRequest } from './request.ts';
import { greedy, noToken } from './sampler.ts';
import { TokenStream } from './token-stream.ts';

export interface SessionOptions {
  /** Texts that are decoded together; further requests wait. */
  sequences: number;
  /** Tokens that a text may come to hold, its prompt included; keys and values of all are allocated at once. */
  capacity: number;
}

/** A model that generates texts for requests, which come and go between its steps. */
export interface Session {
  /**
   * Takes a request. Whoever waits for a token of any request makes the session step, for all that it holds.
   * @throws RequestError where the request is wrong or needs more than the capacity
   */
  submit(request: GenerationRequest): TokenStream;
  /**
   * Lets waiting requests into free places, and draws one token for each text: of a new one, with its prompt. A backend
   * that draws by itself is one step ahead of the tokens that were read, so that it never waits. Does nothing where
   * nothing is left to do; where a step is under way, waits for its end.
   */
  step(): Promise<void>;
  /** Ends all streams, waits for what is being computed, and gives the memory back. */
  release(): Promise<void>;
}

/** A request with a place in the cache. */
interface OpenText extends Submitted {
  sequence: number;
  /** Tokens drawn, read or not; the row that the last one was drawn in. */
  drawn: number;
  row: number;
  /** Tokens read, and the last of them. */
  read: number;
  token: number;
}

interface Submitted {
  request: WholeRequest;
  stream: TokenStream;
}

/** A step that was asked for; what it has drawn for texts that were closed since is of no use. */
interface Step extends Draw {
  texts: readonly OpenText[];
}

/**
 * Opens a session, which owns its memory until it is released. The model must stay until then.
 * @throws RequestError where the capacity exceeds the model's context
 */
export function openSession(model: Model, { sequences, capacity }: SessionOptions): Session {
  const { maxLength, vocabSize: vocabulary } = model.config;
  if (capacity > maxLength) {
    const message = `a session for texts of ${capacity} tokens was asked for, but the model's context is ${maxLength}`;
    throw new RequestError({ message, hint: 'lower the capacity, or take a model with a longer context' });
  }
  const decoder = openDecoder(model, sequences, capacity);
  const sampler = openSampler(model.backend, { sequences, vocabulary });
  const waiting: Submitted[] = [];
  const places: (OpenText | undefined)[] = Array.from({ length: sequences });
  let last: Step | undefined;
  let underWay: Promise<void> | undefined;
  let isRunning = false;

  const admit = (): void => {
    for (let sequence = 0; sequence < sequences && waiting.length > 0; sequence++) {
      if (places[sequence] && !places[sequence]!.stream.isClosed) continue;
      const next = nextOpen(waiting);
      if (!next) return;
      const { prompt, sampling, seed, index } = next.request;
      sampler.begin(sequence, { prompt, sampling, random: new RandomStream(seed, `sample/${index}`) });
      places[sequence] = { ...next, sequence, drawn: 0, row: 0, read: 0, token: 0 };
    }
  };
  const launch = (texts: readonly OpenText[], unread: Step | undefined): Step => {
    const news = texts.map((text) => newTokens(text, unread !== undefined));
    const logits = decoder.nextLogits(news, unread?.tokens);
    const order = texts.map(({ sequence }) => sequence);
    const draw = sampler.draw(logits, order, { logProbs: texts.some(({ request }) => request.logProbs) });
    logits.release();
    // Whoever reads the step hears of its failure; nobody may before the process would end for it.
    draw.result.catch(() => {});
    for (const [row, text] of texts.entries()) {
      text.drawn++;
      text.row = row;
    }
    return { ...draw, texts };
  };
  const settle = async (step: Step): Promise<void> => {
    const { tokens, logProbs } = await step.result.finally(step.release);
    for (const [row, text] of step.texts.entries()) deliver(text, tokens[row]!, logProbs?.[row]);
  };
  const advance = async (): Promise<void> => {
    admit();
    const unread = last;
    const open = places.filter((text): text is OpenText => text !== undefined && isOpen(text));
    last = open.length > 0 ? launch(open, unread) : undefined;
    if (unread) await settle(unread);
    if (last && !last.tokens) {
      const drawn = last;
      last = undefined;
      await settle(drawn);
    }
  };
  /** Ends all streams, after an error with it, and waits for a step whose tokens nobody will read. */
  const closeAll = async (failure?: { error: unknown }): Promise<void> => {
    for (const text of [...places, ...waiting.splice(0)]) text?.stream.close(failure);
    const dropped = last;
    last = undefined;
    await dropped?.result.catch(() => {});
    dropped?.release();
  };
  const step = (): Promise<void> => {
    underWay ??= advance()
      .catch(async (error: unknown) => {
        await closeAll({ error });
        throw error;
      })
      .finally(() => {
        underWay = undefined;
      });
    return underWay;
  };
  const isAwaited = (): boolean => [places, waiting].some((texts) => texts.some((text) => text?.stream.isAwaited));
  /** Steps while somebody waits for a token. Requests that are submitted in one go take the first step together. */
  const run = async (): Promise<void> => {
    if (isRunning) return;
    isRunning = true;
    await undefined;
    try {
      while (isAwaited()) await step();
    } catch {
      // All streams have thrown it.
    } finally {
      isRunning = false;
    }
  };
  let released: Promise<void> | undefined;

  return {
    submit({ signal, ...given }) {
      if (released) throw new Error('the session was released');
      const request = whole(given);
      checkRequest(request, { vocabulary, capacity });
      const stream = new TokenStream(run, signal);
      if (request.maxNewTokens === 0) stream.close();
      else waiting.push({ request, stream });
      return stream;
    },
    step,
    release() {
      released ??= (async () => {
        await closeAll();
        await underWay?.catch(() => {});
        await closeAll();
        decoder.release();
        sampler.release();
      })();
      return released;
    },
  };
}

function whole(request: Omit<GenerationRequest, 'signal'>): WholeRequest {
  const { sampling = greedy, seed = 0, index = 0, logProbs = false, name = 'the prompt', ...needed } = request;
  return { ...needed, sampling, seed, index, logProbs, name };
}

/** Takes out the first that was not given up. */
function nextOpen(waiting: Submitted[]): Submitted | undefined {
  for (;;) {
    const next = waiting.shift();
    if (!next?.stream.isClosed) return next;
  }
}

const isOpen = ({ stream, drawn, request }: OpenText): boolean => !stream.isClosed && drawn < request.maxNewTokens;

/** The prompt, then the token that was drawn last: by its row where it was not read yet. */
function newTokens({ sequence, request: { prompt }, drawn, row, token }: OpenText, isUnread: boolean): NewTokens {
  if (drawn === 0) return { sequence, position: 0, tokens: prompt };
  return { sequence, position: prompt.length + drawn - 1, tokens: [isUnread ? -1 - row : token] };
}

/** Gives the stream of a text the next token, and closes it where that is the last. */
function deliver(text: OpenText, id: number, logProb: number | undefined): void {
  const { stream, request } = text;
  const { stopIds, maxNewTokens, logProbs, name } = request;
  text.read++;
  text.token = id;
  if (id === noToken) {
    stream.close({ error: notFinite(`the logits of token ${text.read} after ${name} are`) });
    return;
  }
  const end = stopIds.includes(id) ? 'stop' : text.read === maxNewTokens ? 'length' : undefined;
  stream.push({ id, ...(logProbs && { logProb: logProb! }), ...(end && { end }) });
  if (end) stream.close();
}
