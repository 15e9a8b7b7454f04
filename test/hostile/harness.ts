import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { RequestError, RunError } from '../../src/errors.ts';
import { RandomStream } from '../../src/random.ts';
import type { Mutator } from './mutators.ts';

/** Something that reads what others wrote. */
export interface Reader {
  name: string;
  /** Valid inputs, which are accepted as they are. */
  samples: readonly (string | Buffer)[];
  /** What is done to them. */
  mutators: readonly Mutator[];
  read(input: Buffer): unknown;
  /** Share of the inputs that a slow reader is given. */
  share?: number;
  /** True where an error repeats what a program of the user's threw. */
  repeats?: boolean;
  /** What is wrong with what was accepted, where that can be told. */
  wrong?(value: never): string | undefined;
}

/** Inputs for each reader, the seed that they are drawn from, and `READER:NUMBER` to replay one. */
const count = Number(process.env.HOSTILE_INPUTS ?? 4000);
const seed = Number(process.env.HOSTILE_SEED ?? 1);
const [onlyReader, onlyNumber] = (process.env.HOSTILE_ONLY ?? '').split(':');

/** Of processor time, which does not depend on what else runs. */
const secondsAllowed = 10;
const bytesAllowed = 3 * 2 ** 30;
/** Of silence, after which an input hangs. */
const patience = 120;

const shownFailures = 10;

/** What JavaScript says, and never we. */
const raw =
  /\[object |is not a function|is not iterable|Cannot (read|set|convert|destructure|mix)|undefined \(|Maximum call stack|Invalid (array|string) length|heap|native code/;

/** The folder that readers of files write to. */
export const folder = mkdtempSync(join(tmpdir(), 'mixtune-hostile-'));

/** One test for each reader: every input has a result, or an error of ours, in bounded time and memory. */
export function hold(readers: readonly Reader[]): void {
  let watch: Watch;
  beforeAll(() => {
    watch = watchOver();
  });
  afterAll(async () => {
    await watch.end();
    rmSync(folder, { recursive: true, force: true });
  });
  const chosen = readers.filter(({ name }) => !onlyReader || name === onlyReader);
  for (const reader of chosen) {
    it(`${reader.name}: a valid input is read`, async () => {
      for (const sample of reader.samples) await reader.read(Buffer.from(sample));
    });
    it(`${reader.name}: ${inputsOf(reader)} inputs are read or refused in our words`, async () => {
      const failures = await attack(reader, watch);
      if (failures.length > 0) throw new Error(told(reader, failures));
    });
  }
  if (chosen.length === 0) it('none of these readers is replayed', () => expect(onlyReader).toBeDefined());
}

interface Failure {
  number: number;
  input: Buffer;
  what: string;
}

async function attack(reader: Reader, watch: Watch): Promise<Failure[]> {
  const failures: Failure[] = [];
  const numbers = onlyNumber ? [Number(onlyNumber)] : Array.from({ length: inputsOf(reader) }, (_, number) => number);
  for (const number of numbers) {
    const input = inputOf(reader, number);
    watch.begin(`HOSTILE_SEED=${seed} HOSTILE_ONLY=${reader.name}:${number}`);
    const before = process.cpuUsage();
    const what = await faultOf(reader, input);
    const { user, system } = process.cpuUsage(before);
    watch.done();
    const seconds = (user + system) / 1e6;
    const bytes = process.memoryUsage().rss;
    if (what !== undefined) failures.push({ number, input, what });
    else if (seconds > secondsAllowed) failures.push({ number, input, what: `took ${seconds.toFixed(1)} s` });
    if (bytes > bytesAllowed) {
      failures.push({ number, input, what: `${(bytes / 2 ** 30).toFixed(1)} GiB are held after it` });
      break;
    }
  }
  return failures;
}

const inputsOf = ({ share = 1 }: Reader): number => Math.ceil(count * share);

/** The input of a number, always the same for a seed. */
function inputOf({ name, samples, mutators }: Reader, number: number): Buffer {
  const random = new RandomStream(seed, `hostile/${name}/${number}`);
  const sample = Buffer.from(samples[random.integer(samples.length)]!);
  return mutators[random.integer(mutators.length)]!(sample, random);
}

async function faultOf(reader: Reader, input: Buffer): Promise<string | undefined> {
  let fault: string | undefined;
  try {
    const value = await reader.read(input);
    fault = reader.wrong?.(value as never);
    if (fault !== undefined) fault = `accepted: ${fault}`;
  } catch (error) {
    fault = faultOfError(error, reader.repeats ?? false);
  }
  const polluted = pollution();
  return polluted ? `${polluted} was changed` : fault;
}

function faultOfError(error: unknown, repeats: boolean): string | undefined {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  if (!(error instanceof RequestError || error instanceof RunError)) {
    const stack = error instanceof Error ? (error.stack?.match(/^ +at .*$/gm) ?? []).slice(0, 4).join('\n') : '';
    return `raw ${text.slice(0, 300)}\n${stack}`;
  }
  if (error.message.trim() === '') return 'an error without words';
  const found = repeats ? null : raw.exec(error.message);
  return found ? `in an error of ours, \`${found[0]}\`: ${text.slice(0, 600)}` : undefined;
}

const shared = { Object, Function, Array, String, Number, Boolean, Map, Set, Promise, RegExp, Error };
const known = Object.entries(shared).map(([name, { prototype }]) => [name, prototype, fingerprint(prototype)] as const);

function fingerprint(prototype: object): string {
  return Reflect.ownKeys(prototype).map(String).join();
}

/** The name of a prototype that somebody changed; what was added is taken away again. */
function pollution(): string | undefined {
  for (const [name, prototype, before] of known) {
    if (fingerprint(prototype) === before) continue;
    const names = new Set(before.split(','));
    for (const key of Reflect.ownKeys(prototype)) if (!names.has(String(key))) Reflect.deleteProperty(prototype, key);
    return `${name}.prototype`;
  }
  return undefined;
}

function told(reader: Reader, failures: readonly Failure[]): string {
  const kinds = new Map(failures.map((failure) => [failure.what.replace(/\d+/g, '#').slice(0, 80), failure]));
  const shown = [...kinds.values()].slice(0, shownFailures).map(({ number, input, what }) => {
    const text = JSON.stringify(input.toString('utf8'));
    const cut = text.length > 1000 ? `${text.slice(0, 1000)}… (${input.length} bytes)` : text;
    return `HOSTILE_SEED=${seed} HOSTILE_ONLY=${reader.name}:${number} npm run test:hostile\n  ${what.slice(0, 1000)}\n  input ${cut}`;
  });
  return `${reader.name}: ${failures.length} of ${inputsOf(reader)} inputs, ${kinds.size} kinds\n\n${shown.join('\n\n')}`;
}

interface Watch {
  begin(replay: string): void;
  done(): void;
  end(): Promise<number>;
}

/** A second thread that tells which input hangs and ends the process: nothing in its own thread could. */
function watchOver(): Watch {
  const code = `
    const { parentPort } = require('node:worker_threads');
    let timer;
    parentPort.on('message', (replay) => {
      clearTimeout(timer);
      if (!replay) return;
      timer = setTimeout(() => {
        require('node:fs').writeSync(2, 'hangs: ' + replay + ' npm run test:hostile\\n');
        process.kill(process.pid, 'SIGKILL');
      }, ${1000 * patience});
    });`;
  const worker = new Worker(code, { eval: true });
  worker.unref();
  return {
    begin: (replay) => worker.postMessage(replay),
    done: () => worker.postMessage(''),
    end: () => worker.terminate(),
  };
}
