import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism, homedir, hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import PQueue from 'p-queue';
import { packageFile } from '../../../files.ts';

const run = promisify(execFile);
const require = createRequire(import.meta.url);

/** The functions of the compiled library. Handles of memory blocks and engines are numbers. */
export interface NativeLibrary {
  operationNames(): string[];
  instructionSet(): string;
  create(threads: number, bfloat16: number): number;
  destroy(engine: number): void;
  /** 32-bit words of a matrix [rows, columns] as an operand of products. */
  operandSize(engine: number, rows: number, columns: number): number;
  /** Registers a rotary embedding, [headDim / 2] frequencies and the factor, and returns its number. */
  rotary(engine: number, frequencies: Float64Array): number;
  cacheLayout(engine: number, headDim: number, tokens: number): [number, number, number, number];
  allocate(engine: number, bytes: number): number;
  release(engine: number, handle: number): void;
  enqueue(engine: number, operation: number, ...values: number[]): void;
  write(engine: number, handle: number, offset: number, data: Float32Array | Int32Array): void;
  read(engine: number, handle: number, into: Float32Array | Int32Array): Promise<void>;
  sync(engine: number): Promise<void>;
  usedBytes(engine: number): number;
  heldBytes(engine: number): number;
  /** Fills in four numbers for each operation: calls, seconds, 10⁹ flops and 10⁹ bytes since the engine was created. */
  costs(engine: number, into: Float32Array): Promise<void>;
}

export interface NativeAvailability {
  available: boolean;
  /** Why it is not available, in one sentence. */
  reason?: string;
  /** The compiler's command and version, even if the engine does not compile with it. */
  compiler?: string;
  instructionSet?: string;
  /** Path of the compiled library. */
  path?: string;
}

interface Compiler {
  command: string;
  version: string;
  /** All predefined macros, which contain the features of this processor and the compiler's version. */
  macros: string;
}

/** There is a compiler, but the engine cannot be built with it. */
class BuildError extends Error {
  readonly compiler: Compiler;

  constructor(compiler: Compiler, cause: unknown) {
    super(`the native engine could not be compiled with ${compiler.command}: ${(cause as Error).message}`, { cause });
    this.compiler = compiler;
  }
}

const described = ({ command, version }: Compiler): string => `${command} (${version})`;

let loading: Promise<{ library: NativeLibrary; compiler: Compiler; path: string }> | undefined;

/** Loads the native engine, which is compiled on first use. @throws Error with the reason if that is not possible */
export async function loadNative(): Promise<NativeLibrary> {
  return (await load()).library;
}

/** Whether the native engine can be used here, and with which compiler. Compiles it on first use; never throws. */
export async function nativeAvailability(): Promise<NativeAvailability> {
  try {
    const { library, compiler, path } = await load();
    const instructionSet = library.instructionSet();
    return { available: true, compiler: described(compiler), instructionSet, path };
  } catch (error) {
    const reason = (error as Error).message;
    return {
      available: false,
      reason,
      ...(error instanceof BuildError ? { compiler: described(error.compiler) } : {}),
    };
  }
}

function load(): NonNullable<typeof loading> {
  loading ??= (async () => {
    const compiler = await findCompiler();
    try {
      const path = await builtLibrary(compiler);
      return { library: require(path) as NativeLibrary, compiler, path };
    } catch (error) {
      throw new BuildError(compiler, error);
    }
  })();
  return loading;
}

async function findCompiler(): Promise<Compiler> {
  const candidates = [process.env.CXX, 'c++', 'g++', 'clang++'].filter((name) => name !== undefined && name !== '');
  for (const command of candidates as string[]) {
    try {
      const { stdout: macros } = await run(command, [...targetFlags(), '-x', 'c++', '-dM', '-E', '/dev/null']);
      const version = /__VERSION__ "(.*)"/.exec(macros)?.[1] ?? 'unknown version';
      return { command, version, macros };
    } catch {
      // It does not exist or does not know the processor; the next one may.
    }
  }
  throw new Error(`no C++ compiler was found (tried ${candidates.join(', ')})`);
}

/** Flags to compile for this processor or, for tests, for the processor named by MIXTUNE_MARCH. */
function targetFlags(): string[] {
  const target = process.env.MIXTUNE_MARCH;
  if (target) return [`-march=${target}`, '-DMIXTUNE_NAMED_TARGET'];
  return [process.arch === 'arm64' ? '-mcpu=native' : '-march=native'];
}

function compileFlags(): string[] {
  const arithmetic = ['-fno-math-errno', '-ffp-contract=fast'];
  const sanitizers = sanitizerFlags();
  const optimisation = sanitizers.length > 0 ? ['-O1', '-g', '-fno-omit-frame-pointer', ...sanitizers] : ['-O3'];
  return [...optimisation, ...targetFlags(), '-std=c++17', '-fPIC', '-pthread', '-Wno-psabi', ...arithmetic];
}

function linkFlags(): string[] {
  const shared = process.platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared', '-pthread'];
  return [...shared, ...sanitizerFlags()];
}

/** Flags for the tests that `.ci/sanitize` runs with MIXTUNE_SANITIZE=address,undefined or =thread. */
function sanitizerFlags(): string[] {
  const sanitizers = process.env.MIXTUNE_SANITIZE;
  return sanitizers ? [`-fsanitize=${sanitizers}`] : [];
}

/** Path of the library for these sources, this compiler and this processor, which is compiled if it is not cached. */
async function builtLibrary(compiler: Compiler): Promise<string> {
  const sources = packageFile('src', 'native');
  const names = (await readdir(sources, { recursive: true })).filter((name) => /\.(cc|h)$/.test(name)).sort();
  const hash = createHash('sha256').update(JSON.stringify([compiler.macros, compileFlags(), linkFlags()]));
  for (const name of names) hash.update(`${name}\0`).update(await readFile(join(sources, name)));
  const folder = cacheFolder();
  const path = join(folder, `engine-${hash.digest('hex').slice(0, 20)}.node`);
  if (existsSync(path)) return path;
  await mkdir(folder, { recursive: true });
  await underLock(`${path}.lock`, path, async () => {
    process.stderr.write(`mixtune: compiling the native engine for this processor with ${compiler.command} (once)\n`);
    const units = names.filter((name) => name.endsWith('.cc')).map((name) => join(sources, name));
    await compile(compiler.command, sources, units, path);
  });
  return path;
}

/** Compiles the units in parallel in a temporary folder, and moves the linked library to `path` in one step. */
async function compile(command: string, sources: string, units: readonly string[], path: string): Promise<void> {
  const folder = `${path}.build`;
  await rm(folder, { recursive: true, force: true }); // left by a process that was killed
  await mkdir(folder);
  const queue = new PQueue({ concurrency: availableParallelism() });
  try {
    const headers = join(dirname(require.resolve('node-api-headers/package.json')), 'include');
    const objects = await queue.addAll(
      units.map((unit, index) => async () => {
        const object = join(folder, `${index}.o`);
        await runCompiler(command, [...compileFlags(), `-I${sources}`, `-I${headers}`, '-c', unit, '-o', object]);
        return object;
      }),
    );
    const library = join(folder, 'engine.node');
    await runCompiler(command, [...linkFlags(), ...objects, '-o', library]);
    await rename(library, path);
  } finally {
    // If one unit failed, others may still be writing.
    queue.clear();
    await queue.onIdle();
    await rm(folder, { recursive: true, force: true });
  }
}

async function runCompiler(command: string, parameters: readonly string[]): Promise<void> {
  try {
    await run(command, parameters, { maxBuffer: 1 << 26 });
  } catch (error) {
    const output = (error as { stderr?: string }).stderr?.trim() || (error as Error).message;
    throw new Error(output.split('\n').slice(0, 5).join('\n'));
  }
}

/** Runs `make` unless another process is already making `path`, in which case it waits for that. */
async function underLock(lock: string, path: string, make: () => Promise<void>): Promise<void> {
  while (!existsSync(path)) {
    if (!(await acquire(lock))) {
      await delay(100);
      continue;
    }
    try {
      if (!existsSync(path)) await make();
    } finally {
      await rm(lock, { force: true });
    }
  }
}

async function acquire(lock: string): Promise<boolean> {
  try {
    const file = await open(lock, 'wx');
    await file.writeFile(`${process.pid} ${hostname()}`);
    await file.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (await isAbandoned(lock)) await rm(lock, { force: true });
    return false;
  }
}

/** Whether the process that holds a lock is gone: judged by its id on this host, by the lock's age on another. */
async function isAbandoned(lock: string): Promise<boolean> {
  try {
    const age = Date.now() - (await stat(lock)).mtimeMs;
    const [pid, host] = (await readFile(lock, 'utf8')).split(' ');
    if (host !== hostname()) return age > 600_000;
    return !isAlive(Number(pid));
  } catch {
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function cacheFolder(): string {
  const base =
    process.env.XDG_CACHE_HOME ||
    (process.platform === 'darwin' ? join(homedir(), 'Library', 'Caches') : join(homedir(), '.cache'));
  return join(base, 'mixtune');
}
