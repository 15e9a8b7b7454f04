import { RequestError } from '../errors.ts';
import type { Model } from '../model/model.ts';
import { openBatch, type Submitted } from './batch.ts';
import { checkRequest, type GenerationRequest, type WholeRequest } from './request.ts';
import { greedy } from './sampler.ts';
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
  const batch = openBatch(model, sequences, capacity);
  const waiting: Submitted[] = [];
  let underWay: Promise<void> | undefined;
  let released: Promise<void> | undefined;
  let isRunning = false;

  /** Ends all streams, after an error with it. */
  const closeAll = async (failure?: { error: unknown }): Promise<void> => {
    for (const { stream } of [...batch.texts(), ...waiting.splice(0)]) stream.close(failure);
    await batch.drop();
  };
  const advance = async (): Promise<void> => {
    try {
      batch.admit(waiting);
      await batch.advance();
    } catch (error) {
      await closeAll({ error });
      throw error;
    }
  };
  const step = (): Promise<void> => {
    underWay ??= advance().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
  const isAwaited = (): boolean =>
    [batch.texts(), waiting].some((texts) => texts.some(({ stream }) => stream.isAwaited));
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
        batch.release();
      })();
      return released;
    },
  };
}

function whole(request: Omit<GenerationRequest, 'signal'>): WholeRequest {
  const { sampling = greedy, seed = 0, index = 0, logProbs = false, name = 'the prompt', ...needed } = request;
  return { ...needed, sampling, seed, index, logProbs, name };
}
