import { createHash } from 'node:crypto';
import { open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { decodeFloats, encodeFloats, type FloatDtype } from '../../src/checkpoint/dtype.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors-reader.ts';
import { type TensorSpec, writeSafetensors } from '../../src/checkpoint/safetensors-writer.ts';
import { temporaryFolder } from './temporary.ts';

const fixtures = join(import.meta.dirname, 'fixtures');
const everyDtype = join(fixtures, 'every-dtype.safetensors');

interface Expected {
  values: Record<string, number[]>;
  shapes: Record<string, number[]>;
  sha256OfEveryF16: string;
  sha256OfEveryBF16: string;
}
const expected = JSON.parse(await readFile(join(fixtures, 'expected.json'), 'utf8')) as Expected;

describe('a file that Python wrote', () => {
  test('has the shapes and the metadata that Python gave it', async () => {
    const file = await openSafetensors(everyDtype);
    expect(Object.fromEntries([...file.tensors].map(([name, { shape }]) => [name, shape]))).toEqual(expected.shapes);
    expect([...file.metadata]).toEqual([['format', 'pt']]);
  });

  test.each(['f64', 'f32', 'f16', 'bf16', 'scalar', 'empty', 'ünicode "name"'])('%s reads as float32', async (name) => {
    const file = await openSafetensors(everyDtype);
    const values = expected.values[name]!;
    expect([...(await file.readFloat32(name))]).toEqual(values.map(Math.fround));
    const into = new Float32Array(values.length);
    expect(await file.readFloat32(name, into)).toBe(into);
    expect([...into]).toEqual(values.map(Math.fround));
  });

  test('integers read as bytes and not as floats', async () => {
    const file = await openSafetensors(everyDtype);
    expect(new BigUint64Array((await file.readBytes('u64')).buffer)).toEqual(BigUint64Array.from([1n, 2n, 3n]));
    expect(new Int16Array((await file.readBytes('i16')).buffer)).toEqual(Int16Array.from([1, 2, 3]));
    expect([...(await file.readBytes('bool'))]).toEqual([1, 0, 1]);
    await expect(file.readFloat32('i32')).rejects.toThrow(/i32: is I32; floating-point numbers are needed/);
  });

  test('is written again byte for byte', async () => {
    const file = await openSafetensors(everyDtype);
    const copy = join(await temporaryFolder(), 'copy.safetensors');
    const shuffled = [...file.tensors.values()].reverse();
    await writeSafetensors(copy, shuffled, (name) => file.readBytes(name));
    expect(await readFile(copy)).toEqual(await readFile(everyDtype));
  });
});

describe('conversion', () => {
  test.each(['F16', 'BF16'] as const)('every %s pattern has the value that PyTorch gives it', (dtype) => {
    const patterns = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const values = new Float32Array(65536);
    decodeFloats(dtype, new Uint8Array(patterns.buffer), values);
    const finite = values.map((v) => (Number.isNaN(v) ? 0 : Number.isFinite(v) ? v : Math.sign(v) * 1e38));
    const digest = createHash('sha256').update(new Uint8Array(finite.buffer)).digest('hex');
    expect(digest).toBe(expected[`sha256OfEvery${dtype}`]);
  });

  test.each(['F16', 'BF16'] as const)('float32 → %s rounds as PyTorch does and keeps NaN', async (dtype) => {
    const file = await openSafetensors(join(fixtures, 'rounding.safetensors'));
    const source = await file.readFloat32('source');
    const theirs = await file.readFloat32(dtype.toLowerCase());
    const bytes = new Uint8Array(source.length * 2);
    encodeFloats(dtype, source, bytes);
    const ours = new Float32Array(source.length);
    decodeFloats(dtype, bytes, ours);
    expect(ours).toEqual(theirs);
    expect(source.some(Number.isNaN)).toBe(true);
  });

  test('a value that f16 cannot hold is refused, not made infinite', async () => {
    const path = join(await temporaryFolder(), 'big.safetensors');
    const write = writeSafetensors(path, [{ name: 'w', dtype: 'F16', shape: [2] }], async () =>
      Float32Array.from([1, 70000]),
    );
    await expect(write).rejects.toThrow(/w holds 70000, which f16 cannot hold/);
  });
});

describe('writing', () => {
  test.each(['F64', 'F32', 'F16', 'BF16'] satisfies FloatDtype[])('%s comes back', async (dtype) => {
    const path = join(await temporaryFolder(), 'x.safetensors');
    const values = Float32Array.from([0, -1.5, 0.25, 1024, Number.NaN, Number.POSITIVE_INFINITY]);
    await writeSafetensors(path, [{ name: 'x', dtype, shape: [2, 3] }], async () => values);
    expect(await (await openSafetensors(path)).readFloat32('x')).toEqual(values);
  });

  test('tensors longer than one chunk come back whole', async () => {
    const path = join(await temporaryFolder(), 'long.safetensors');
    const length = 2 * 4194304 + 3;
    const values = Float32Array.from({ length }, (_, i) => i % 251);
    const tensors: TensorSpec[] = [
      { name: 'a', dtype: 'BF16', shape: [length] },
      { name: 'b', dtype: 'F64', shape: [length] },
    ];
    await writeSafetensors(path, tensors, async () => values);
    const file = await openSafetensors(path);
    for (const name of ['a', 'b'])
      expect(Buffer.compare(bytesOf(await file.readFloat32(name)), bytesOf(values))).toBe(0);
  });

  test('names are data, whatever they are called', async () => {
    const path = join(await temporaryFolder(), 'names.safetensors');
    const names = ['__proto__', 'constructor', '1', 'a"b\\c\n', ''];
    const tensors = names.map((name): TensorSpec => ({ name, dtype: 'F32', shape: [1] }));
    await writeSafetensors(path, tensors, async (name) => Float32Array.from([names.indexOf(name)]));
    const file = await openSafetensors(path);
    expect([...file.tensors.keys()].sort()).toEqual([...names].sort());
    for (const [i, name] of names.entries()) expect([...(await file.readFloat32(name))]).toEqual([i]);
  });

  test('a wrong length is noticed, and neither the old file nor the folder suffers', async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'x.safetensors');
    await writeFile(path, 'old');
    const write = writeSafetensors(path, [{ name: 'x', dtype: 'F32', shape: [3] }], async () => new Float32Array(2));
    await expect(write).rejects.toThrow('x: 2 elements given, 3 expected');
    expect(await readdir(folder)).toEqual(['x.safetensors']);
    expect(await readFile(path, 'utf8')).toBe('old');
  });
});

describe('reading', () => {
  test('a tensor beyond 2 GiB of a file of 4 GiB', async () => {
    const path = join(await temporaryFolder(), 'large.safetensors');
    const gap = 2 ** 32 + 64;
    const header = JSON.stringify({
      gap: { dtype: 'U8', shape: [gap], data_offsets: [0, gap] },
      late: { dtype: 'F32', shape: [3], data_offsets: [gap, gap + 12] },
    });
    const head = Buffer.alloc(8 + header.length);
    head.writeBigUInt64LE(BigInt(header.length));
    head.write(header, 8);
    const file = await open(path, 'w');
    await file.write(head);
    await file.truncate(head.length + gap + 12);
    await file.write(bytesOf(Float32Array.from([1.5, -2, 3])), 0, 12, head.length + gap);
    await file.close();
    expect([...(await (await openSafetensors(path)).readFloat32('late'))]).toEqual([1.5, -2, 3]);
  });

  test('notices that the file was replaced in between', async () => {
    const path = join(await temporaryFolder(), 'x.safetensors');
    const write = (length: number) =>
      writeSafetensors(path, [{ name: 'x', dtype: 'F32', shape: [length] }], async () => new Float32Array(length));
    await write(4);
    const file = await openSafetensors(path);
    await write(5);
    await expect(file.readFloat32('x')).rejects.toThrow(/changed while it was being read/);
  });

  test('a target of another length is refused', async () => {
    const file = await openSafetensors(everyDtype);
    await expect(file.readFloat32('f32', new Float32Array(3))).rejects.toThrow(/f32: has 4 elements, not 3/);
  });

  test.each(['f32', 'bf16', 'f16'])(
    'elements of %s are read from any of them on, and not beyond the last',
    async (name) => {
      const file = await openSafetensors(everyDtype);
      const whole = await file.readFloat32(name);
      for (let from = 0; from < whole.length; from++) {
        const into = new Float32Array(Math.min(2, whole.length - from));
        expect([...(await file.readFloat32(name, into, from))]).toEqual([...whole.subarray(from, from + into.length)]);
      }
      const last = file.readFloat32(name, new Float32Array(2), whole.length - 1);
      await expect(last).rejects.toThrow(`has ${whole.length} elements, not ${whole.length + 1}`);
    },
  );

  test('a name that is not there is named', async () => {
    const file = await openSafetensors(everyDtype);
    await expect(file.readFloat32('nope')).rejects.toThrow(/nope: there is no such tensor/);
  });
});

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
