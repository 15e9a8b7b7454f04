import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readModelDirectory } from '../../src/checkpoint/model-directory.ts';
import type { TensorStore } from '../../src/checkpoint/tensor-store.ts';
import { openTorchFile } from '../../src/checkpoint/torch/torch-file.ts';
import { RequestError } from '../../src/errors.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { sizeOf } from '../../src/tensor/tensor.ts';
import { mix, pre, specsOf, weightsOf, writeConfig } from './made-models.ts';
import { temporaryFolder } from './temporary.ts';
import { op, pickledStateDict, pickledView, torchFile, type View, zip } from './torch-writer.ts';

let folder: string;
let files = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-torch-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function opened(content: Uint8Array): Promise<TensorStore> {
  const path = join(folder, `${files++ % 8}.bin`);
  await writeFile(path, content);
  return openTorchFile(path);
}

async function refused(content: Uint8Array): Promise<RequestError> {
  const error = await opened(content).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(RequestError);
  return error as RequestError;
}

const bytesOf = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
const six = bytesOf(1, 2, 3, 4, 5, 6);
const matrix: View = { key: '0', type: 'Float', length: 6, shape: [2, 3], strides: [3, 1] };
const file = (view: Partial<View>, options?: Parameters<typeof zip>[1]) =>
  torchFile(pickledStateDict({ w: { ...matrix, ...view } }), { 0: six }, options);

describe('a file of torch.save', () => {
  test('gives each tensor by its name, in whatever order its numbers are stored', async () => {
    const halves = Uint16Array.of(0x3c00, 0xc000, 0x3800);
    const content = torchFile(
      pickledStateDict({
        matrix,
        part: { ...matrix, offset: 2, shape: [3], strides: [1] },
        transposed: { ...matrix, shape: [3, 2], strides: [1, 3] },
        expanded: { ...matrix, offset: 1, shape: [2, 2, 2], strides: [0, 3, 0] },
        scalar: { ...matrix, offset: 5, shape: [], strides: [] },
        none: { ...matrix, offset: 6, shape: [0, 4], strides: [4, 1] },
        parameter: { ...matrix, parameter: true },
        half: { key: '1', type: 'Half', length: 3, shape: [3], strides: [1] },
        brain: { key: '1', type: 'BFloat16', length: 3, shape: [1], strides: [1] },
        double: { key: '2', type: 'Double', length: 2, shape: [2], strides: [1] },
        long: { key: '3', type: 'Long', length: 1, shape: [1], strides: [1] },
      }),
      {
        0: six,
        1: new Uint8Array(halves.buffer),
        2: new Uint8Array(Float64Array.of(0.5, -7).buffer),
        3: Array(8).fill(1),
      },
    );
    const store = await opened(content);
    const read = async (name: string) => [...(await store.readFloat32(name))];
    expect(await read('matrix')).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await read('part')).toEqual([3, 4, 5]);
    expect(await read('transposed')).toEqual([1, 4, 2, 5, 3, 6]);
    expect(await read('expanded')).toEqual([2, 2, 5, 5, 2, 2, 5, 5]);
    expect(await read('scalar')).toEqual([6]);
    expect(await read('none')).toEqual([]);
    expect(await read('parameter')).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await read('half')).toEqual([1, -2, 0.5]);
    expect(await read('brain')).toEqual([0.0078125]);
    expect(await read('double')).toEqual([0.5, -7]);
    expect(store.tensors.get('transposed')).toEqual({ name: 'transposed', dtype: 'F32', shape: [3, 2] });
    expect(await store.readBytes('long')).toEqual(new Uint8Array(8).fill(1));
    for (const name of ['matrix', 'transposed']) {
      const piece = await store.readFloat32(name, new Float32Array(3), 2);
      expect([...piece]).toEqual((await read(name)).slice(2, 5));
      await expect(store.readFloat32(name, new Float32Array(3), 4)).rejects.toThrow('has 6 elements, not 7');
    }
    await expect(store.readFloat32('long')).rejects.toThrow('is I64; floating-point numbers are needed');
    await expect(store.readFloat32('other')).rejects.toThrow('there is no such tensor');
  });

  test('may have zip64 records, and a dict that is not ordered', async () => {
    const wide = await opened(file({}, { zip64: true }));
    expect([...(await wide.readFloat32('w'))]).toEqual([1, 2, 3, 4, 5, 6]);
    const item = [...op.text('w'), ...pickledView(matrix), ...op.setItem];
    const plain = await opened(torchFile([...op.proto, ...op.emptyDict, ...item, ...op.stop], { 0: six }));
    expect([...plain.tensors.keys()]).toEqual(['w']);
  });

  test('is refused wherever it is cut off', async () => {
    const [plain, zip64] = [file({}), file({}, { zip64: true })];
    for (let length = 0; length < plain.length; length++) await refused(plain.subarray(0, length));
    for (let length = 0; length < zip64.length; length += 7) await refused(zip64.subarray(0, length));
  });

  test('with any byte changed is read or refused, and neither takes long', async () => {
    for (const [content, every] of [
      [file({}), 1],
      [file({}, { zip64: true }), 5],
    ] as const) {
      for (let at = 0; at < content.length; at += every) {
        const changed = Buffer.from(content);
        changed[at]! ^= at % 3 === 0 ? 0xff : 1 << (at % 8);
        await opened(changed)
          .then(async (store) => {
            for (const [name, { dtype, shape }] of store.tensors) {
              if (dtype === 'F32' && sizeOf(shape) < 100) await store.readFloat32(name);
            }
          })
          .catch((error: unknown) => expect(error).toBeInstanceOf(RequestError));
      }
    }
  });
});

describe('a pickle that is more than tensors', () => {
  const call = (module: string, name: string, argument: string) => [
    ...op.proto,
    ...op.global(module, name),
    ...op.mark,
    ...op.text(argument),
    ...op.tuple,
    ...op.reduce,
    ...op.stop,
  ];

  test.each([
    ['os', 'system'],
    ['builtins', 'eval'],
    ['posix', 'system'],
    ['torch', 'load'],
    ['torch.nn', 'Module'],
    ['torch._utils', '_rebuild_tensor_v2.__globals__'],
    ['collections', 'OrderedDict.constructor'],
    ['constructor', 'constructor'],
    ['__proto__', 'toString'],
  ])('that calls %s.%s is refused by that name', async (module, name) => {
    const { message } = await refused(torchFile(call(module, name, 'touch here'), {}));
    expect(message).toContain(`calls for "${module}.${name}", which no plain tensor needs; nothing of it was run`);
    expect(message).toContain('take the model in safetensors');
  });

  test.each<[string, number[]]>([
    ['INST', [0x69]],
    ['OBJ', [0x6f]],
    ['NEWOBJ', [0x81]],
    ['EXT1', [0x82, 1]],
    ['PERSID', [0x50]],
    ['GET', [0x67]],
    ['NEXT_BUFFER', [0x97]],
  ])('by the instruction %s is refused', async (_, bytes) => {
    const { message } = await refused(torchFile([...op.proto, ...op.emptyDict, ...bytes, ...op.stop], {}));
    expect(message).toMatch(/instruction 0x[0-9a-f]{2} at byte 3, which tensors do not need/);
  });

  const dictOf = (...value: number[]) => [
    ...op.proto,
    ...op.emptyDict,
    ...op.text('w'),
    ...value,
    ...op.setItem,
    ...op.stop,
  ];

  test('is refused where it holds something else beside or around the weights', async () => {
    const nested = dictOf(...op.emptyDict);
    for (const pickle of [
      nested,
      dictOf(...op.int(3)),
      dictOf(...op.none),
      dictOf(...op.global('torch', 'FloatStorage')),
    ]) {
      expect((await refused(torchFile(pickle, {}))).message).toMatch(
        /it holds "w", which is no tensor.*\n.*state dict/,
      );
    }
    const list = [...op.proto, ...op.emptyList, ...op.stop];
    expect((await refused(torchFile(list, {}))).message).toContain('holds no state dict');
  });

  test('is refused where its instructions make no sense', async () => {
    const senseless = [
      [...op.stop],
      [...op.tuple, ...op.stop],
      [...op.setItems, ...op.stop],
      [...op.mark, ...op.stop],
      [...op.emptyList, ...op.text('a'), ...op.text('b'), ...op.setItem, ...op.stop],
      [...op.emptyDict, ...op.text('a'), ...op.append, ...op.stop],
      [...op.emptyDict, ...op.mark, ...op.text('a'), ...op.setItems, ...op.stop],
      [...op.get(3), ...op.stop],
      [...op.text('f'), ...op.emptyTuple, ...op.reduce, ...op.stop],
      [...op.global('torch', 'FloatStorage'), ...op.emptyTuple, ...op.reduce, ...op.stop],
      [...op.global('torch._utils', '_rebuild_tensor_v2'), ...op.emptyTuple, ...op.reduce, ...op.stop],
      [...op.emptyList, ...op.emptyList, 0x93, ...op.stop],
      [...op.text('x'), ...op.persistent, ...op.stop],
      [...op.emptyDict, ...op.none, ...op.build, ...op.stop],
    ];
    for (const pickle of senseless) await refused(torchFile([...op.proto, ...pickle], {}));
  });

  test('cycles, and lists of lists of lists, cost what their bytes do', async () => {
    const cycle = [...op.emptyList, ...op.put(0), ...op.get(0), ...op.append];
    await refused(torchFile(dictOf(...cycle), {}));
    await refused(torchFile([...op.proto, ...cycle, ...cycle.slice(1), 0x93, ...op.stop], {}));
    // Each list holds the one before ten times: 10^200 items, were they ever counted.
    const laughs = Array.from({ length: 200 }, (_, level) => {
      const ten =
        level === 0
          ? op.text('ha')
          : Array(10)
              .fill(op.get(level - 1))
              .flat();
      return [...op.mark, ...ten, ...op.tuple, ...op.put(level)];
    });
    const all = [...op.proto, ...laughs.flat()];
    await refused(torchFile([...all, ...op.stop], {}));
    await refused(torchFile([...all, ...op.get(199), 0x93, ...op.stop], {}));
    await refused(torchFile([...op.proto, ...op.emptyDict, ...laughs.flat().slice(0), ...op.stop], {}));
    const asName = [...op.proto, ...op.emptyDict, ...op.put(250), ...laughs.flat(), ...op.get(250), ...op.get(199)];
    await refused(torchFile([...asName, ...op.none, ...op.setItem, ...op.get(250), ...op.stop], {}));
  });
});

describe('a tensor that is not where it should be', () => {
  test.each<[string, Partial<View>]>([
    ['an offset beyond its storage', { offset: 1 }],
    ['a huge offset', { offset: 2 ** 52 }],
    ['a stride beyond its storage', { strides: [4, 1] }],
    ['a huge stride', { strides: [2 ** 52, 1] }],
    ['a huge shape', { shape: [2 ** 30, 2 ** 30], strides: [0, 0] }],
    ['a shape of more numbers', { shape: [3, 3] }],
    ['a negative stride', { strides: [-3, 1], offset: 3 }],
    ['a negative size', { shape: [-2, -3] }],
    ['strides of another shape', { strides: [1] }],
    ['a storage without end', { length: 2 ** 52 }],
    ['a storage that ends early', { length: 7 }],
    ['a storage that is missing', { key: '1' }],
    ['a storage outside data/', { key: '../data.pkl' }],
    ['numbers of an unknown type', { type: 'ComplexFloat' }],
  ])('%s is refused', async (_, view) => {
    await refused(file(view));
  });

  test('a number of a thousand bytes is no size', async () => {
    const long = [0x8a, 255, ...Array(254).fill(0xff), 0x7f];
    const pickle = pickledStateDict({ w: matrix });
    const at = pickle.lastIndexOf(0x28);
    await refused(torchFile([...pickle.slice(0, at), ...long, ...pickle.slice(at)], { 0: six }));
  });
});

describe('an archive that torch.save does not write', () => {
  const pickle = pickledStateDict({ w: matrix });

  test.each<[string, Buffer, RegExp]>([
    ['compressed', file({}, { method: 8 }), /is compressed/],
    ['encrypted', file({}, { flags: 1 }), /is encrypted/],
    ['without a pickle', zip({ 'archive/version': [51] }), /holds no data\.pkl/],
    ['with two pickles', zip({ 'a/data.pkl': pickle, 'b/data.pkl': pickle }), /holds no data\.pkl/],
    ['big-endian', zip({ 'a/data.pkl': pickle, 'a/byteorder': Buffer.from('big'), 'a/data/0': six }), /big-endian/],
    ['empty', zip({}), /holds no data\.pkl|is no file/],
  ])('%s is refused', async (_, content, says) => {
    expect((await refused(content)).message).toMatch(says);
  });

  test('of the format before PyTorch 1.6 is refused with the line that converts it', async () => {
    const { message } = await refused(
      Buffer.from('\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.', 'latin1'),
    );
    expect(message).toMatch(/format that PyTorch had before 1\.6.*\n.*save_file\(.*torch\.load\(.*weights_only=True/);
  });
});

describe('a model directory with pickled weights', () => {
  const viewsOf = (config: ModelConfig): Record<string, View> =>
    Object.fromEntries(
      specsOf(config).map(({ name, shape }) => {
        const strides = shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
        return [
          name,
          { key: name, type: 'Float', length: sizeOf(shape), shape, strides, parameter: name.includes('q_') },
        ];
      }),
    );

  async function write(path: string, config: ModelConfig, names: (name: string) => boolean): Promise<string[]> {
    const views = Object.entries(viewsOf(config)).filter(([name]) => names(name));
    const data = await Promise.all(
      views.map(async ([name]) => [name, new Uint8Array((await weightsOf(config)(name)).buffer)] as const),
    );
    await writeFile(path, torchFile(pickledStateDict(Object.fromEntries(views)), Object.fromEntries(data)));
    return views.map(([name]) => name);
  }

  async function expectModel(directory: string, config: ModelConfig): Promise<void> {
    const model = await readModelDirectory(directory);
    expect(model.config).toEqual(config);
    for (const { name } of specsOf(config)) expect(await model.read(name)).toEqual(await weightsOf(config)(name));
  }

  test('is read as it is, in one file or in shards', async () => {
    const whole = await temporaryFolder();
    await writeConfig(whole, mix, {});
    await write(join(whole, 'pytorch_model.bin'), mix, () => true);
    await expectModel(whole, mix);

    const sharded = await temporaryFolder();
    await writeConfig(sharded, pre, {});
    const shards = ['pytorch_model-00001-of-00002.bin', 'pytorch_model-00002-of-00002.bin'];
    const isFirst = (name: string) => name.includes('layers.0');
    const first = await write(join(sharded, shards[0]!), pre, isFirst);
    const second = await write(join(sharded, shards[1]!), pre, (name) => !isFirst(name));
    await expect(readModelDirectory(sharded)).rejects.toThrow(/without pytorch_model\.bin\.index\.json/);
    const entries = [...first.map((name) => [name, shards[0]]), ...second.map((name) => [name, shards[1]])];
    const index = { metadata: {}, weight_map: Object.fromEntries(entries) };
    await writeFile(join(sharded, 'pytorch_model.bin.index.json'), JSON.stringify(index));
    await expectModel(sharded, pre);
  });
});
