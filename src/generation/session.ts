import { RequestError } from '../errors.ts';
import type { Model } from '../model/model.ts';
import { openBatch, type Submitted } from './batch.ts';
import { checkRequest, type GenerationRequest, type WholeRequest } from './request.ts';
import { greedy } from './sampler.ts';
import { TokenStream } from './token-stream.ts';

export interface SessionOptions {
  /** Maximum number of texts decoded together; further requests wait. */
  sequences: number;
  /** Maximum length of a text in tokens, prompt included; the keys and values of all texts are allocated at once. */
  capacity: number;
}

/** Generates texts with one model; requests can be added and cancelled between steps. */
export interface Session {
  /**
   * Adds a request and returns the stream of its tokens. Waiting for the next token of any stream makes the session
   * step, which advances all of its requests.
   * @throws RequestError if the request is not valid or needs more than the capacity
   */
  submit(request: GenerationRequest): TokenStream;
  /**
   * Moves waiting requests to free places and draws one token for each text; the first step of a text also processes
   * its prompt. A backend that samples by itself is one step ahead of the tokens that were read, so that it never
   * waits. If there is nothing to do, does nothing; if a step is under way, waits for it.
   */
  step(): Promise<void>;
  /** Ends all streams, waits for running computations and frees the memory. */
  release(): Promise<void>;
}

/**
 * Opens a session, which owns its memory until it is released. The model must not be released before.
 * @throws RequestError if the capacity exceeds the model's context
 */
export function openSession(model: Model, { sequences, capacity }: SessionOptions): Session {
  const { maxLength, vocabSize: vocabulary } = model.config;
  if (capacity > maxLength) {
    const message = `the session is for texts of up to ${capacity} tokens, but the model's context is ${maxLength}`;
    throw new RequestError({ message, hint: 'lower the capacity, or use a model with a longer context' });
  }
  const batch = openBatch(model, sequences, capacity);
  const waiting: Submitted[] = [];
  let underWay: Promise<void> | undefined;
  let released: Promise<void> | undefined;
  let isRunning = false;

  /** Ends all streams, with the error if there was one. */
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
  /** Steps while a token is awaited. Requests submitted in the same tick take part in the first step together. */
  const run = async (): Promise<void> => {
    if (isRunning) return;
    isRunning = true;
    await undefined;
    try {
      while (isAwaited()) await step();
    } catch {
      // All streams throw the error.
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
