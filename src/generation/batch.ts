import { notFinite } from '../errors.ts';
import type { Model } from '../model/model.ts';
import { RandomStream } from '../random.ts';
import { type Draw, openSampler } from './batch-sampler.ts';
import { type NewTokens, openDecoder } from './decoder.ts';
import type { WholeRequest } from './request.ts';
import { noToken } from './sampler.ts';
import type { TokenStream } from './token-stream.ts';

/** A request and the stream of its tokens. */
export interface Submitted {
  request: WholeRequest;
  stream: TokenStream;
}

/** Texts that are decoded together, each in its own place. */
export interface Batch {
  /** All texts that have a place, including closed ones. */
  texts(): readonly Submitted[];
  /** Moves requests from the front of `waiting` to places that are free or whose stream is closed. */
  admit(waiting: Submitted[]): void;
  /**
   * Draws one token for each open text; the first step of a text also processes its prompt. If the backend samples by
   * itself, the next step is enqueued before the tokens of the previous one are read, so that the backend never waits.
   * A text that turns out to have ended then took part in one step too many, without effect on the others.
   */
  advance(): Promise<void>;
  /** Waits for the step that is under way and discards its tokens. */
  drop(): Promise<void>;
  release(): void;
}

/** A text with its place. */
interface OpenText extends Submitted {
  sequence: number;
  /** Number of tokens drawn, whether or not they were read. */
  drawn: number;
  /** Row in which the last token was drawn. */
  row: number;
  /** Number of tokens read. */
  read: number;
  /** The last token read. */
  token: number;
}

/** A step that was enqueued. Tokens of texts that have been closed since are ignored. */
interface Step extends Draw {
  texts: readonly OpenText[];
}

/** @param capacity maximum length of a text in tokens; memory for `sequences` such texts is allocated at once */
export function openBatch(model: Model, sequences: number, capacity: number): Batch {
  const decoder = openDecoder(model, sequences, capacity);
  const sampler = openSampler(model.backend, { sequences, vocabulary: model.config.vocabSize });
  const places = new Map<number, OpenText>();
  let last: Step | undefined;

  const launch = (texts: readonly OpenText[], unread: Step | undefined): Step => {
    const news = texts.map((text) => newTokens(text, unread !== undefined));
    const logits = decoder.nextLogits(news, unread?.tokens);
    const order = texts.map(({ sequence }) => sequence);
    const draw = sampler.draw(logits, order, { logProbs: texts.some(({ request }) => request.logProbs) });
    logits.release();
    // `settle` reports a failure, but possibly only after Node has declared the rejection unhandled.
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

  return {
    texts: () => [...places.values()],
    admit(waiting) {
      for (let sequence = 0; sequence < sequences && waiting.length > 0; sequence++) {
        if (places.get(sequence)?.stream.isClosed === false) continue;
        const next = nextOpen(waiting);
        if (!next) return;
        const { prompt, sampling, seed, index } = next.request;
        sampler.begin(sequence, { prompt, sampling, random: new RandomStream(seed, `sample/${index}`) });
        places.set(sequence, { ...next, sequence, drawn: 0, row: 0, read: 0, token: 0 });
      }
    },
    async advance() {
      const unread = last;
      const open = [...places.values()].filter(isOpen);
      last = open.length > 0 ? launch(open, unread) : undefined;
      if (unread) await settle(unread);
      if (last && !last.tokens) {
        const drawn = last;
        last = undefined;
        await settle(drawn);
      }
    },
    async drop() {
      const dropped = last;
      last = undefined;
      await dropped?.result.catch(() => {});
      dropped?.release();
    },
    release() {
      decoder.release();
      sampler.release();
    },
  };
}

/** Removes and returns the first request that was not cancelled. */
function nextOpen(waiting: Submitted[]): Submitted | undefined {
  for (;;) {
    const next = waiting.shift();
    if (!next?.stream.isClosed) return next;
  }
}

const isOpen = ({ stream, drawn, request }: OpenText): boolean => !stream.isClosed && drawn < request.maxNewTokens;

/** The prompt at first, then the token drawn last, or a reference to its row if it has not been read yet. */
function newTokens({ sequence, request: { prompt }, drawn, row, token }: OpenText, isUnread: boolean): NewTokens {
  if (drawn === 0) return { sequence, position: 0, tokens: prompt };
  return { sequence, position: prompt.length + drawn - 1, tokens: [isUnread ? -1 - row : token] };
}

/** Pushes the next token to the stream of a text, and closes the stream after the last one. */
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
