import { notFinite } from '../errors.ts';
import type { Model } from '../model/model.ts';
import { RandomStream } from '../random.ts';
import { type Draw, openSampler } from './batch-sampler.ts';
import { type NewTokens, openDecoder } from './decoder.ts';
import type { WholeRequest } from './request.ts';
import { noToken } from './sampler.ts';
import type { TokenStream } from './token-stream.ts';

/** A request, and who reads what it becomes. */
export interface Submitted {
  request: WholeRequest;
  stream: TokenStream;
}

/** Texts that are decoded together, each in a place of its own. */
export interface Batch {
  /** What has a place, closed or not. */
  texts(): readonly Submitted[];
  /** Lets requests in where a place is free or its stream closed, the first of `waiting` first. */
  admit(waiting: Submitted[]): void;
  /**
   * Draws one token for each open text: of a new one, with its prompt. A backend that draws by itself is asked for a
   * step before the tokens of the last one are read, so that it never waits; a text that turns out to have ended has
   * then been in one step too many, without effect on the others.
   */
  advance(): Promise<void>;
  /** Waits for a step whose tokens nobody will read. */
  drop(): Promise<void>;
  release(): void;
}

/** A text with its place. */
interface OpenText extends Submitted {
  sequence: number;
  /** Tokens drawn, read or not; the row that the last one was drawn in. */
  drawn: number;
  row: number;
  /** Tokens read, and the last of them. */
  read: number;
  token: number;
}

/** A step that was asked for; what it has drawn for texts that were closed since is of no use. */
interface Step extends Draw {
  texts: readonly OpenText[];
}

/** @param capacity tokens that a text may come to hold; memory for `sequences` of them is allocated at once */
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
    // Whoever settles the step hears of its failure, but maybe only after Node has called the rejection unhandled.
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
