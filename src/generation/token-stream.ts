import type { GeneratedToken } from './request.ts';

interface Reader {
  resolve(result: IteratorResult<GeneratedToken, undefined>): void;
  reject(error: unknown): void;
}

/**
 * The tokens of one request as they are made. Leaving the loop over them gives the request up. A stream whose last
 * token has no `end` was given up, or its session was released.
 */
export class TokenStream implements AsyncIterableIterator<GeneratedToken, undefined> {
  readonly #tokens: GeneratedToken[] = [];
  readonly #readers: Reader[] = [];
  readonly #onRead: () => void;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.close();
  #failure: { error: unknown } | undefined;
  #isClosed = false;

  /**
   * @param onRead is called whenever somebody waits for a token
   * @param signal closes the stream
   */
  constructor(onRead: () => void, signal?: AbortSignal) {
    this.#onRead = onRead;
    this.#signal = signal;
    if (signal?.aborted) this.close();
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** True where no more tokens are made. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  get isAwaited(): boolean {
    return this.#readers.length > 0;
  }

  push(token: GeneratedToken): void {
    if (this.#isClosed) return;
    const reader = this.#readers.shift();
    if (reader) reader.resolve({ value: token, done: false });
    else this.#tokens.push(token);
  }

  /** Tokens that were made can still be read; after them the stream ends, or throws the error. */
  close(failure?: { error: unknown }): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#failure = failure;
    for (const reader of this.#readers.splice(0)) this.#next().then(reader.resolve, reader.reject);
  }

  next(): Promise<IteratorResult<GeneratedToken, undefined>> {
    if (this.#tokens.length > 0 || this.#isClosed) return this.#next();
    return new Promise((resolve, reject) => {
      this.#readers.push({ resolve, reject });
      this.#onRead();
    });
  }

  async #next(): Promise<IteratorResult<GeneratedToken, undefined>> {
    const token = this.#tokens.shift();
    if (token) return { value: token, done: false };
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) throw failure.error;
    return { value: undefined, done: true };
  }

  async return(): Promise<IteratorResult<GeneratedToken, undefined>> {
    this.#tokens.length = 0;
    this.close();
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
