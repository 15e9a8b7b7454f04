import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openSafetensors } from '../../src/checkpoint/safetensors-reader.ts';
import { RequestError } from '../../src/errors.ts';
import { temporaryFolder } from './temporary.ts';

const good = (begin: number, end: number) => ({ dtype: 'U8', shape: [end - begin], data_offsets: [begin, end] });

/** A header as JSON text or raw bytes, the bytes of data behind it, and what must be said about it. */
const cases: Record<string, { header: unknown; data?: number; says: RegExp }> = {
  'a hole between two tensors': {
    header: { a: good(0, 4), b: good(6, 8) },
    data: 8,
    says: /b: starts at byte 6 and leaves a hole after a, which ends at 4/,
  },
  'a hole before the first tensor': { header: { a: good(4, 8) }, data: 8, says: /leaves a hole after the header/ },
  'overlapping tensors': {
    header: { a: good(0, 4), b: good(3, 8) },
    data: 8,
    says: /b: starts at byte 3 and overlaps a/,
  },
  'the same bytes twice': {
    header: { a: good(0, 4), b: good(0, 4) },
    data: 4,
    says: /b: starts at byte 0 and overlaps a/,
  },
  'offsets past the end': {
    header: { a: good(0, 9) },
    data: 8,
    says: /cut off: the header describes 9 bytes of data, the file has 8/,
  },
  'bytes after the last tensor': { header: { a: good(0, 4) }, data: 5, says: /bytes follow the last tensor/ },
  'bytes without any tensor': { header: {}, data: 1, says: /bytes follow the last tensor/ },
  'a negative offset': {
    header: { a: { dtype: 'U8', shape: [4], data_offsets: [-4, 0] } },
    says: /a: data_offsets \[-4,0\]/,
  },
  'offsets in reverse': {
    header: { a: { dtype: 'U8', shape: [4], data_offsets: [4, 0] } },
    says: /a: U8 \[4\] takes 4 bytes/,
  },
  'three offsets': { header: { a: { dtype: 'U8', shape: [0], data_offsets: [0, 0, 0] } }, says: /not a pair/ },
  'a fractional offset': { header: { a: { dtype: 'U8', shape: [1], data_offsets: [0, 1.5] } }, says: /not a pair/ },
  'no offsets': { header: { a: { dtype: 'U8', shape: [1] } }, says: /a: data_offsets undefined/ },
  'a shape that needs more bytes': {
    header: { a: { dtype: 'F32', shape: [2, 2], data_offsets: [0, 8] } },
    data: 8,
    says: /a: F32 \[2,2\] takes 16 bytes, data_offsets \[0,8\] hold 8/,
  },
  'a shape whose product overflows': {
    header: { a: { dtype: 'F32', shape: [2 ** 40, 2 ** 40], data_offsets: [0, 0] } },
    says: /a: shape \[1099511627776,1099511627776\] has more elements than a file can hold/,
  },
  'a shape whose product overflows to zero in 64 bits': {
    header: { a: { dtype: 'U8', shape: [2 ** 32, 2 ** 32], data_offsets: [0, 0] } },
    says: /more elements than a file can hold/,
  },
  'a negative size': { header: { a: { dtype: 'U8', shape: [-1], data_offsets: [0, 0] } }, says: /a: shape \[-1\]/ },
  'a shape that is no list': {
    header: { a: { dtype: 'U8', shape: 1, data_offsets: [0, 1] } },
    says: /a: shape 1 is not a list/,
  },
  'an unknown dtype': {
    header: { a: { dtype: 'F8_E4M3', shape: [0], data_offsets: [0, 0] } },
    says: /a: dtype "F8_E4M3" is not supported/,
  },
  'a dtype from the prototype': {
    header: { a: { dtype: 'toString', shape: [0], data_offsets: [0, 0] } },
    says: /a: dtype "toString"/,
  },
  'an entry that is no object': { header: { a: null }, says: /a: the entry is not an object/ },
  'metadata that is no object': { header: { __metadata__: ['x'] }, says: /__metadata__: must map strings to strings/ },
  'metadata that holds a number': {
    header: { __metadata__: { format: 1 } },
    says: /__metadata__: must map strings to strings/,
  },
  'null metadata': { header: { __metadata__: null }, says: /__metadata__: must map/ },
  'a tensor twice': {
    header: '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
    says: /key "a" appears twice/,
  },
  'a tensor twice, once escaped': { header: '{"a":{}, "\\u0061" : {}}', says: /key "a" appears twice/ },
  'a key of an entry twice': {
    header: '{"a":{"dtype":"U8","dtype":"F32","shape":[0],"data_offsets":[0,0]}}',
    says: /"dtype" appears twice/,
  },
  'a size written as a fraction': {
    header: '{"a":{"dtype":"U8","shape":[0.0],"data_offsets":[0,0]}}',
    says: /digits only/,
  },
  'a size written with an exponent': {
    header: '{"a":{"dtype":"U8","shape":[0e1],"data_offsets":[0,0]}}',
    says: /digits only/,
  },
  'a negative zero': { header: '{"a":{"dtype":"U8","shape":[0],"data_offsets":[-0,0]}}', says: /digits only/ },
  'half of a surrogate pair': {
    header: '{"\\ud800":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
    says: /half of a surrogate pair/,
  },
  'leading space': { header: ' {}', says: /does not start with \{/ },
  'a list': { header: '[]', says: /does not start with \{/ },
  'an empty header': { header: '', says: /does not start with \{/ },
  'broken JSON': { header: '{"a":', says: /not usable JSON/ },
  'something after the object': { header: '{} x', says: /not usable JSON/ },
  'bytes that are not UTF-8': {
    header: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
    says: /not valid UTF-8/,
  },
};

test.each(Object.entries(cases))('%s is refused', async (_, { header, data = 0, says }) => {
  const bytes = Buffer.isBuffer(header)
    ? header
    : Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  await expectRefusal(Buffer.concat([length, bytes, Buffer.alloc(data)]), says);
});

test('an empty file is refused', () => expectRefusal(Buffer.alloc(0), /has 0 bytes/));

test('a header length above the limit is refused without reading it', async () => {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(20_000_001n);
  await expectRefusal(length, /the header length 20000001 is above 20000000/);
  length.writeBigUInt64LE(2n ** 64n - 1n);
  await expectRefusal(length, /18446744073709551615/);
});

test('a header that ends after the file is refused', async () => {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(1000n);
  await expectRefusal(Buffer.concat([length, Buffer.from('{}')]), /the header ends at byte 1008, but the file has 10/);
});

test('everything wrong is said at once, with the file and a hint', async () => {
  const header = Buffer.from(JSON.stringify({ a: null, b: { ...good(0, 1), dtype: 'X' }, __metadata__: { x: 1 } }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const error = await expectRefusal(Buffer.concat([length, header]), /3 problems in .*model\.safetensors/);
  expect(error.problems.map(({ where }) => where)).toEqual(['a', 'b', '__metadata__']);
  expect(error.message).toContain('→ hint: the file is damaged');
});

test('a missing file is named', async () => {
  await expect(openSafetensors('/nowhere/x.safetensors')).rejects.toThrow(
    /x\.safetensors.*\n.*\n.*there is no such file/,
  );
});

test('a name of 6 MB and brackets 2 million deep are refused like any other fault', async () => {
  for (const [header, says] of [
    [`{"${'x\\\\'.repeat(2_000_000)}":{}}`, /dtype undefined is not supported/],
    [`{"a":${'['.repeat(2_000_000)}`, /objects and lists are more than 64 deep/],
    [`{"__metadata__":${'{"a":'.repeat(100)}"x"${'}'.repeat(100)}}`, /objects and lists are more than 64 deep/],
    [`{${Array.from({ length: 100_000 }, (_, i) => `"${i}":0`).join()}}`, /20 problems/],
  ] as const) {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    await expectRefusal(Buffer.concat([length, Buffer.from(header)]), says);
  }
});

test('an empty list of tensors is a valid file', async () => {
  const path = join(await temporaryFolder(), 'model.safetensors');
  await writeFile(path, Buffer.concat([Buffer.from([8, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('{}      ')]));
  expect((await openSafetensors(path)).tensors.size).toBe(0);
});

async function expectRefusal(content: Buffer, says: RegExp): Promise<RequestError> {
  const path = join(await temporaryFolder(), 'model.safetensors');
  await writeFile(path, content);
  const error = await openSafetensors(path).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(RequestError);
  expect((error as RequestError).message).toMatch(says);
  return error as RequestError;
}
