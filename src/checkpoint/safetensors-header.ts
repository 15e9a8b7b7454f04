import type { Problem } from '../errors.ts';
import { type Dtype, dtypeBytes, isDtype } from './dtype.ts';
import { isJsonObject, jsonStrings, parseStrictJson } from './strict-json.ts';
import { elementCount, type StoredTensor } from './tensor-store.ts';

/**
 * The longest header that is read, in bytes. It has room for 150,000 tensors, and a hostile one costs seconds at most.
 * Hugging Face's implementation reads up to 100 MB.
 */
export const maxHeaderBytes = 20_000_000;

/** The most problems of a header to list; more would tell nothing new. */
const mostProblems = 20;

/** A tensor as a safetensors header describes it; `begin` and `end` count bytes from the start of the data. */
export interface TensorInfo extends StoredTensor {
  begin: number;
  end: number;
}

export interface SafetensorsHeader {
  /** In the order of the data. */
  tensors: Map<string, TensorInfo>;
  metadata: Map<string, string>;
}

/**
 * Reads and checks the header (the JSON, without its length) of a file with `dataBytes` bytes after it, by the rules
 * of Hugging Face's Rust implementation, and refuses duplicate keys too.
 * @returns the header, or everything wrong with it
 */
export function parseHeader(header: Uint8Array, dataBytes: number): SafetensorsHeader | Problem[] {
  if (header[0] !== 0x7b) return [{ message: 'the header does not start with {' }];
  let text: string;
  let json: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(header);
    json = parseStrictJson(text);
  } catch (error) {
    const reason = error instanceof SyntaxError ? error.message : 'not valid UTF-8';
    return [{ message: `the header is not usable JSON: ${reason}` }];
  }
  const problems: Problem[] = [];
  const { __metadata__: metadata, ...entries } = json as Record<string, unknown>;
  const tensors: TensorInfo[] = [];
  for (const [name, entry] of Object.entries(entries)) {
    if (problems.length >= mostProblems) return problems;
    tensors.push(...parseTensor(name, entry, problems));
  }
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end);
  const parsed = parseMetadata(metadata, problems);
  if (problems.length === 0) checkLayout(tensors, dataBytes, problems);
  if (problems.length === 0 && hasFractions(text))
    problems.push({ message: 'numbers in the header must be digits only' });
  if (problems.length > 0) return problems;
  return { tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])), metadata: parsed };
}

/** True if a number is written with a sign, a fraction or an exponent, even if its value is whole. */
function hasFractions(text: string): boolean {
  let from = 0;
  for (const [start, end] of [...jsonStrings(text), [text.length, text.length] as const]) {
    if (/-|\d[.eE]/.test(text.slice(from, start))) return true;
    from = end;
  }
  return false;
}

function parseMetadata(value: unknown, problems: Problem[]): Map<string, string> {
  const entries = value === undefined ? [] : isJsonObject(value) ? Object.entries(value) : undefined;
  if (entries?.every((entry): entry is [string, string] => typeof entry[1] === 'string')) return new Map(entries);
  problems.push({ where: '__metadata__', message: 'must map strings to strings' });
  return new Map();
}

function parseTensor(name: string, entry: unknown, problems: Problem[]): TensorInfo[] {
  const refuse = (message: string): [] => {
    problems.push({ where: name, message });
    return [];
  };
  if (!isJsonObject(entry)) return refuse('the entry is not an object');
  const { dtype, shape, data_offsets: offsets } = entry;
  if (!isDtype(dtype)) {
    return refuse(
      `dtype ${JSON.stringify(dtype)} is not supported; supported are ${Object.keys(dtypeBytes).join(' ')}`,
    );
  }
  if (!isCountList(shape)) return refuse(`shape ${JSON.stringify(shape)} is not a list of whole numbers from 0`);
  if (!isCountList(offsets) || offsets.length !== 2) {
    return refuse(`data_offsets ${JSON.stringify(offsets)} is not a pair of whole numbers from 0`);
  }
  const [begin, end] = offsets as [number, number];
  const bytes = elementCount(shape) * dtypeBytes[dtype];
  if (!Number.isSafeInteger(bytes)) return refuse(`shape [${shape}] has more elements than a file can hold`);
  if (bytes !== end - begin) {
    return refuse(`${dtype} [${shape}] takes ${bytes} bytes, data_offsets [${offsets}] hold ${end - begin}`);
  }
  return [{ name, dtype, shape, begin, end }];
}

function isCountList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

/** Checks that each tensor starts where the previous one ended, and that the last one ends at the end of the file. */
function checkLayout(tensors: readonly TensorInfo[], dataBytes: number, problems: Problem[]): void {
  let previous = { name: 'the header', end: 0 };
  for (const tensor of tensors) {
    if (tensor.begin !== previous.end) {
      const fault = tensor.begin < previous.end ? 'overlaps' : 'leaves a hole after';
      const message = `starts at byte ${tensor.begin} and ${fault} ${previous.name}, which ends at ${previous.end}`;
      problems.push({ where: tensor.name, message });
      if (problems.length >= mostProblems) return;
    }
    previous = tensor;
  }
  if (previous.end !== dataBytes) {
    const fault = previous.end > dataBytes ? 'the file is cut off' : 'bytes follow the last tensor';
    problems.push({
      message: `${fault}: the header describes ${previous.end} bytes of data, the file has ${dataBytes}`,
    });
  }
}

/**
 * The bytes of a file's head (length, JSON, padding to 8 bytes), and the tensors with their offsets, sorted as in
 * Hugging Face's writer: by dtype, the widest first, then by name.
 */
export function buildHeader(
  tensors: readonly Pick<TensorInfo, 'name' | 'dtype' | 'shape'>[],
  metadata: Readonly<Record<string, string>>,
): { head: Uint8Array; tensors: TensorInfo[]; dataBytes: number } {
  const sorted = [...tensors].sort(
    (a, b) => dtypeRank(b.dtype) - dtypeRank(a.dtype) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
  let end = 0;
  const placed = sorted.map(({ name, dtype, shape }) => {
    const begin = end;
    end += elementCount(shape) * dtypeBytes[dtype];
    return { name, dtype, shape, begin, end };
  });
  const entries = placed.map(({ name, dtype, shape, begin, end: last }): [string, unknown] => [
    name,
    { dtype, shape, data_offsets: [begin, last] },
  ]);
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries([['__metadata__', metadata], ...entries])));
  const padded = Math.ceil(json.length / 8) * 8;
  const head = new Uint8Array(8 + padded).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(padded), true);
  head.set(json, 8);
  return { head, tensors: placed, dataBytes: end };
}

function dtypeRank(dtype: Dtype): number {
  return Object.keys(dtypeBytes).indexOf(dtype);
}
