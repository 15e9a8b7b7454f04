import { own } from '../../config/own.ts';
import { asWritten } from '../../model/families/values.ts';
import { ByteReader } from './byte-reader.ts';
import { Damage } from './damage.ts';

/**
 * The meaning of names in a pickle, by module and name, such as `collections.OrderedDict`. A pickle is a program: this
 * is everything that it can access, and no other name in it is ever looked up or run.
 */
export interface Vocabulary {
  /** Functions that can be called with a list of arguments. */
  readonly constructors: Readonly<Record<string, Constructor>>;
  readonly constants: Readonly<Record<string, unknown>>;
  /** The object that a persistent id stands for. */
  persistent(id: unknown): unknown;
}

export type Constructor = (values: readonly unknown[]) => unknown;

/** A Python dict: keys of any type, in the order in which they were set. */
export type Dict = Map<unknown, unknown>;

/**
 * Reads a pickle of protocol 2 to 5 that consists of numbers, texts, lists, tuples (read as lists), dicts, and what the
 * constructors in `vocabulary` make. Time and memory are proportional to the pickle's length, whatever its references.
 * @throws Damage that names the first thing that is something else
 */
export function unpickle(pickle: Uint8Array, vocabulary: Vocabulary): unknown {
  const bytes = new ByteReader(pickle);
  const machine = new Machine(bytes, vocabulary);
  for (;;) {
    const opcode = bytes.uint8();
    if (opcode === stop) return machine.pop();
    const instruction = instructions.get(opcode);
    if (!instruction) throw unknownInstruction(opcode, bytes.position - 1);
    instruction(machine, bytes);
  }
}

type Instruction = (machine: Machine, bytes: ByteReader) => void;

const push =
  (value: (machine: Machine, bytes: ByteReader) => unknown): Instruction =>
  (machine, bytes) =>
    machine.push(value(machine, bytes));

const stop = '.'.charCodeAt(0);

/** Instructions by opcode, named as in Python's pickletools. */
const instructions: ReadonlyMap<number, Instruction> = new Map<number, Instruction>([
  [0x80, (_, bytes) => bytes.skip(1)], // PROTO
  [0x95, (_, bytes) => bytes.skip(8)], // FRAME
  [0x28, (machine) => machine.push(mark)], // MARK
  [0x4e, push(() => null)], // NONE
  [0x88, push(() => true)], // NEWTRUE
  [0x89, push(() => false)], // NEWFALSE
  [0x4b, push((_, bytes) => bytes.uint8())], // BININT1
  [0x4d, push((_, bytes) => bytes.uint16())], // BININT2
  [0x4a, push((_, bytes) => bytes.int32())], // BININT
  [0x8a, push((_, bytes) => bytes.integer(bytes.uint8()))], // LONG1
  [0x47, push((_, bytes) => bytes.float64())], // BINFLOAT
  [0x58, push((_, bytes) => bytes.text(bytes.uint32()))], // BINUNICODE
  [0x8c, push((_, bytes) => bytes.text(bytes.uint8()))], // SHORT_BINUNICODE
  [0x5d, push(() => [])], // EMPTY_LIST
  [0x29, push(() => [])], // EMPTY_TUPLE
  [0x7d, push(() => new Map())], // EMPTY_DICT
  [0x85, push((machine) => machine.pops(1))], // TUPLE1
  [0x86, push((machine) => machine.pops(2))], // TUPLE2
  [0x87, push((machine) => machine.pops(3))], // TUPLE3
  [0x74, push((machine) => machine.popToMark())], // TUPLE
  [0x61, (machine) => machine.append(machine.pops(1))], // APPEND
  [0x65, (machine) => machine.append(machine.popToMark())], // APPENDS
  [0x73, (machine) => machine.set(machine.pops(2))], // SETITEM
  [0x75, (machine) => machine.set(machine.popToMark())], // SETITEMS
  [0x71, (machine, bytes) => machine.remember(bytes.uint8())], // BINPUT
  [0x72, (machine, bytes) => machine.remember(bytes.uint32())], // LONG_BINPUT
  [0x94, (machine) => machine.remember()], // MEMOIZE
  [0x68, push((machine, bytes) => machine.remembered(bytes.uint8()))], // BINGET
  [0x6a, push((machine, bytes) => machine.remembered(bytes.uint32()))], // LONG_BINGET
  [0x63, push((machine, bytes) => machine.named(bytes.line(), bytes.line()))], // GLOBAL
  [0x93, push((machine) => machine.named(...(machine.pops(2) as [unknown, unknown])))], // STACK_GLOBAL
  [0x51, push((machine) => machine.persistent())], // BINPERSID
  [0x52, push((machine) => machine.constructed())], // REDUCE
  [0x62, (machine) => machine.build()], // BUILD
]);

function unknownInstruction(opcode: number, position: number): Damage {
  const code = opcode.toString(16).padStart(2, '0');
  return new Damage(`its pickle has the instruction 0x${code} at byte ${position}, which tensors do not need`);
}

const mark = Symbol('mark');

/** The stack and memory of the machine that executes pickles. */
class Machine {
  readonly #stack: unknown[] = [];
  readonly #memory = new Map<number, unknown>();
  readonly #bytes: ByteReader;
  readonly #vocabulary: Vocabulary;

  constructor(bytes: ByteReader, vocabulary: Vocabulary) {
    this.#bytes = bytes;
    this.#vocabulary = vocabulary;
  }

  push(value: unknown): void {
    this.#stack.push(value);
  }

  pop(): unknown {
    return this.pops(1)[0];
  }

  /** Pops the last `count` values, in the order in which they were pushed. */
  pops(count: number): unknown[] {
    const values = this.#stack.splice(-count);
    if (values.length < count || values.includes(mark)) throw this.#senseless();
    return values;
  }

  popToMark(): unknown[] {
    const at = this.#stack.lastIndexOf(mark);
    if (at < 0) throw this.#senseless();
    return this.#stack.splice(at).slice(1);
  }

  append(values: readonly unknown[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) throw this.#senseless();
    for (const value of values) list.push(value);
  }

  /** Sets entries of a dict from alternating keys and values. */
  set(pairs: readonly unknown[]): void {
    const dict = this.#top();
    if (!(dict instanceof Map) || pairs.length % 2 !== 0) throw this.#senseless();
    for (let i = 0; i < pairs.length; i += 2) dict.set(pairs[i], pairs[i + 1]);
  }

  remember(index = this.#memory.size): void {
    this.#memory.set(index, this.#top());
  }

  remembered(index: number): unknown {
    if (!this.#memory.has(index)) throw this.#senseless();
    return this.#memory.get(index);
  }

  named(module: unknown, name: unknown): unknown {
    if (typeof module !== 'string' || typeof name !== 'string') throw this.#senseless();
    const full = `${module}.${name}`;
    const { constructors, constants } = this.#vocabulary;
    const found = own(constructors, full) ?? own(constants, full);
    if (found !== undefined) return found;
    throw new Damage(
      `its pickle calls for ${asWritten(full)}, which no plain tensor needs; nothing of it was run`,
      'a pickle that names more than tensors can run any code where PyTorch loads it: take the model in safetensors',
    );
  }

  persistent(): unknown {
    return this.#vocabulary.persistent(this.pop());
  }

  constructed(): unknown {
    const [callee, values] = this.pops(2);
    const make = Object.values(this.#vocabulary.constructors).find((candidate) => candidate === callee);
    if (!make || !Array.isArray(values)) throw this.#senseless();
    return make(values);
  }

  /** Drops attributes of a dict, such as the `_metadata` of a state dict, which are not part of its content. */
  build(): void {
    const state = this.pop();
    if (!(state instanceof Map && this.#top() instanceof Map)) throw this.#senseless();
  }

  #top(): unknown {
    const top = this.#stack.at(-1);
    if (this.#stack.length === 0 || top === mark) throw this.#senseless();
    return top;
  }

  #senseless(): Damage {
    return new Damage(`its pickle makes no sense at byte ${this.#bytes.position - 1}`);
  }
}
