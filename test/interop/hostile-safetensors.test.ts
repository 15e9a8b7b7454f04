import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openSafetensors } from '../../src/checkpoint/safetensors-reader.ts';
import { RequestError } from '../../src/errors.ts';
import { RandomStream } from '../../src/random.ts';
import { python } from './environment.ts';
import { inTemporaryFolder } from './tiny-models.ts';

const dataBytes = 40;
const valid =
  '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},' +
  '"b":{"dtype":"BF16","shape":[0],"data_offsets":[24,24]},"c":{"dtype":"I64","shape":[2],"data_offsets":[24,40]}}';

/** Text that is put in the place of a number, a string or a bracket of the header. */
const numbers = [
  '0',
  '1',
  '2',
  '3',
  '6',
  '16',
  '24',
  '40',
  '41',
  '-0',
  '-1',
  '1.0',
  '2e0',
  '01',
  '9007199254740993',
  '18446744073709551616',
  'null',
  '"2"',
  '[]',
];
const strings = [
  '"F16"',
  '"F64"',
  '"BOOL"',
  '"U8"',
  '"f32"',
  '"a"',
  '"b"',
  '"shape"',
  '"dtype"',
  '"__metadata__"',
  '"\\u0061"',
  '"\\ud800"',
  '"\\x"',
  '"\n"',
  '1',
  '{}',
  '',
];
const brackets = ['{', '}', '[', ']', '', '{}', '[[', ' '];

/** We refuse more than they do here, on purpose: a name twice, and element types that have no use for weights. */
const stricter = /appears twice|is not supported/;

test('hostile headers are judged as the Rust implementation judges them, or more strictly', () =>
  inTemporaryFolder(async (folder) => {
    const headers = new Map<string, string>();
    for (let i = 0; i < 3000; i++) headers.set(`${String(i).padStart(4, '0')}.safetensors`, mutated(i));
    for (const [name, header] of headers) await writeFile(join(folder, name), fileWith(header));
    const theirs = await python<Record<string, string | null>>('5.23.0', 'open_safetensors.py', [folder]);

    const disagreements: string[] = [];
    let refused = 0;
    for (const [name, header] of headers) {
      const ours = await openSafetensors(join(folder, name)).then(
        () => null,
        (error: unknown) => (error instanceof RequestError ? error.message : `unexpected: ${error}`),
      );
      if (ours !== null) refused++;
      const agree = (ours === null) === (theirs[name] === null) || (ours !== null && stricter.test(ours));
      if (!agree || ours?.startsWith('unexpected'))
        disagreements.push(`${header}\n  here: ${ours}\n  there: ${theirs[name]}`);
    }
    expect(disagreements).toEqual([]);
    expect(refused).toBeGreaterThan(1000);
    expect(refused).toBeLessThan(2990);
  }));

/** The valid header with one to three of its parts replaced. */
function mutated(seed: number): string {
  const stream = new RandomStream(seed, 'hostile header');
  const parts = valid.match(/"[^"]*"|\d+|[^"\d]/g)!;
  for (let change = 0; change <= seed % 3; change++) {
    const place = stream.integer(parts.length);
    const part = parts[place]!;
    const choices = /^\d/.test(part) ? numbers : part.startsWith('"') ? strings : brackets;
    parts[place] = stream.pick(choices);
  }
  return parts.join('');
}

function fileWith(header: string): Buffer {
  const bytes = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([length, bytes, Buffer.alloc(dataBytes)]);
}
