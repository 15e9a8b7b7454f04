import type { GeneratedToken } from './request.ts';

interface Reader {
  resolve(result: IteratorResult<GeneratedToken, undefined>): void;
  reject(error: unknown): void;
}

/**
 * The tokens of one request, as they are generated. Leaving a loop over them cancels the request. If the last token of
 * a stream has no `end`, the request was cancelled or its session was released.
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
   * @param onRead called whenever a reader starts to wait for a token
   * @param signal closes the stream when aborted
   */
  constructor(onRead: () => void, signal?: AbortSignal) {
    this.#onRead = onRead;
    this.#signal = signal;
    if (signal?.aborted) this.close();
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Whether no more tokens will be generated. */
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

  /** Ends the stream, or makes it throw the error, after the tokens that have not been read yet. */
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
