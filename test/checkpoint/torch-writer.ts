import { crc32 } from 'node:zlib';

/** Bytes of a pickle, put together by hand. */
export const op = {
  proto: [0x80, 2],
  stop: [0x2e],
  mark: [0x28],
  emptyDict: [0x7d],
  emptyList: [0x5d],
  emptyTuple: [0x29],
  tuple: [0x74],
  tuple2: [0x86],
  append: [0x61],
  setItem: [0x73],
  setItems: [0x75],
  reduce: [0x52],
  build: [0x62],
  persistent: [0x51],
  true: [0x88],
  false: [0x89],
  none: [0x4e],
  global: (module: string, name: string) => [0x63, ...ascii(`${module}\n${name}\n`)],
  text: (text: string) => [0x58, ...uint(text.length, 4), ...ascii(text)],
  /** As BININT1, BININT2, BININT or LONG1, whichever is the shortest. */
  int(value: number): number[] {
    if (value >= 0 && value < 256) return [0x4b, value];
    if (value >= 0 && value < 65536) return [0x4d, ...uint(value, 2)];
    if (Math.abs(value) < 2 ** 31) return [0x4a, ...uint(value >>> 0, 4)];
    return [0x8a, 8, ...new Uint8Array(BigInt64Array.of(BigInt(value)).buffer)];
  },
  put: (index: number) => [0x71, index],
  get: (index: number) => [0x68, index],
};

function ascii(text: string): number[] {
  return [...Buffer.from(text, 'latin1')];
}

function uint(value: number, bytes: number): number[] {
  return [...new Uint8Array(BigUint64Array.of(BigInt(value)).buffer)].slice(0, bytes);
}

export interface View {
  /** Name of a file in `data/`. */
  key: string;
  /** `Float` for torch.FloatStorage. */
  type: string;
  length: number;
  offset?: number;
  shape: readonly number[];
  strides: readonly number[];
  parameter?: boolean;
}

const tuple = (...items: (readonly number[])[]): number[] => [...op.mark, ...items.flat(), ...op.tuple];
const ints = (values: readonly number[]): number[] => tuple(...values.map((value) => op.int(value)));
const emptyOrdered = [...op.global('collections', 'OrderedDict'), ...op.emptyTuple, ...op.reduce];

export function pickledView({ key, type, length, offset = 0, shape, strides, parameter }: View): number[] {
  const id = tuple(
    op.text('storage'),
    op.global('torch', `${type}Storage`),
    op.text(key),
    op.text('cpu'),
    op.int(length),
  );
  const rest = [op.int(offset), ints(shape), ints(strides), op.false, emptyOrdered];
  const rebuild = op.global('torch._utils', '_rebuild_tensor_v2');
  const tensor = [...rebuild, ...tuple([...id, ...op.persistent], ...rest), ...op.reduce];
  if (!parameter) return tensor;
  const wrap = op.global('torch._utils', '_rebuild_parameter');
  return [...wrap, ...tuple(tensor, op.true, emptyOrdered), ...op.reduce];
}

/** A state dict as torch.save pickles it, `_metadata` included. */
export function pickledStateDict(views: Readonly<Record<string, View>>): number[] {
  const items = Object.entries(views).flatMap(([name, view]) => [...op.text(name), ...pickledView(view)]);
  const metadata = [...op.emptyDict, ...op.mark, ...op.text('_metadata'), ...emptyOrdered, ...op.setItems];
  return [...op.proto, ...emptyOrdered, ...op.mark, ...items, ...op.setItems, ...metadata, ...op.build, ...op.stop];
}

/** A zip archive of stored files; `zip64` writes the sizes of all of them as 64-bit numbers. */
export function zip(
  files: Readonly<Record<string, Uint8Array | readonly number[]>>,
  { zip64 = false, method = 0, flags = 0 }: { zip64?: boolean; method?: number; flags?: number } = {},
): Buffer {
  const parts: number[] = [];
  const directory: number[] = [];
  for (const [name, content] of Object.entries(files)) {
    const bytes = [...content];
    const header = parts.length;
    const sum = uint(crc32(Buffer.from(bytes)), 4);
    const common = [...uint(flags, 2), ...uint(method, 2), 0, 0, 0, 0, ...sum];
    // Room for alignment, as torch.save leaves it.
    const padding = [0x46, 0x42, ...uint(4, 2), 0, 0, 0, 0];
    const size = uint(bytes.length, 4);
    parts.push(...ascii('PK\x03\x04'), 20, 0, ...common, ...size, ...size);
    parts.push(...uint(name.length, 2), ...uint(padding.length, 2), ...ascii(name), ...padding, ...bytes);
    const extra = zip64 ? [1, 0, 24, 0, ...uint(bytes.length, 8), ...uint(bytes.length, 8), ...uint(header, 8)] : [];
    const shown = (value: number) => uint(zip64 ? 0xffffffff : value, 4);
    directory.push(...ascii('PK\x01\x02'), 20, 0, 20, 0, ...common, ...shown(bytes.length), ...shown(bytes.length));
    directory.push(...uint(name.length, 2), ...uint(extra.length, 2), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ...shown(header));
    directory.push(...ascii(name), ...extra);
  }
  const count = Object.keys(files).length;
  const begin = parts.length;
  const end64 = begin + directory.length;
  const records64 = [
    ...[...ascii('PK\x06\x06'), ...uint(44, 8), 45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ...[...uint(count, 8), ...uint(count, 8), ...uint(directory.length, 8), ...uint(begin, 8)],
    ...[...ascii('PK\x06\x07'), 0, 0, 0, 0, ...uint(end64, 8), 1, 0, 0, 0],
  ];
  const counts = zip64 ? [0xff, 0xff, 0xff, 0xff] : [...uint(count, 2), ...uint(count, 2)];
  const place = zip64 ? Array(8).fill(0xff) : [...uint(directory.length, 4), ...uint(begin, 4)];
  const last = [...ascii('PK\x05\x06'), 0, 0, 0, 0, ...counts, ...place, 0, 0];
  return Buffer.from([...parts, ...directory, ...(zip64 ? records64 : []), ...last]);
}

/** A file of torch.save: its pickle, and the numbers of each storage. */
export function torchFile(
  pickle: readonly number[],
  data: Readonly<Record<string, Uint8Array | readonly number[]>>,
  options?: Parameters<typeof zip>[1],
): Buffer {
  const storages = Object.entries(data).map(([key, bytes]) => [`archive/data/${key}`, bytes] as const);
  const byteorder = Buffer.from('little');
  return zip({ 'archive/data.pkl': pickle, 'archive/byteorder': byteorder, ...Object.fromEntries(storages) }, options);
}
