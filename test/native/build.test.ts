import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { nativeAvailability } from '../../src/tensor/backends/native/build.ts';

const { available, compiler = '', path = '', reason } = await nativeAvailability();
if (!available) console.log(`compiling the native engine is not tested: ${reason}`);

/** Imports the module afresh, as a newly started process would. */
async function freshly(): Promise<typeof nativeAvailability> {
  vi.resetModules();
  return (await import('../../src/tensor/backends/native/build.ts')).nativeAvailability;
}

describe.runIf(available)('compiling the native engine', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mixtune-build-'));
    vi.stubEnv('XDG_CACHE_HOME', folder);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true });
  });

  /** Installs a compiler that prints its macros, records each call, and then runs a line of shell. */
  async function compilerThat(line: string): Promise<void> {
    const command = join(folder, 'compiler');
    const real = compiler.split(' ')[0];
    const macros = `case "$*" in *-dM*) exec ${real} "$@";; esac`;
    await writeFile(command, `#!/bin/sh\n${macros}\necho "$*" >> ${folder}/calls\n${line}\n`);
    await chmod(command, 0o755);
    vi.stubEnv('CXX', command);
  }
  /** Replaces the linker: copies the library that this machine already has to the path after -o. */
  const linksTheKnownLibrary = `while [ "$1" != -o ]; do shift; done; cp ${path} "$2"`;
  const linkings = async () => (await readFile(join(folder, 'calls'), 'utf8')).match(/engine\.node$/gm)?.length;

  test('reports which compilers were tried if there is none', async () => {
    vi.stubEnv('PATH', folder);
    vi.stubEnv('CXX', '');
    expect(await (await freshly())()).toEqual({
      available: false,
      reason: 'no C++ compiler was found (tried c++, g++, clang++)',
    });
  });

  test("shows the compiler's error if it fails, and leaves nothing behind", async () => {
    await compilerThat('echo "fatal error: disk on fire" >&2; exit 1');
    const { available, reason, compiler } = await (await freshly())();
    expect(available).toBe(false);
    expect(compiler).toContain(join(folder, 'compiler'));
    expect(reason).toMatch(/could not be compiled with .*compiler: fatal error: disk on fire/);
    expect(await readdir(join(folder, 'mixtune'))).toEqual([]);
  });

  test('fails all tests, with the reason, if there is a compiler and it fails, but not if there is none', async () => {
    const compileEngine = async () => {
      await freshly();
      return (await import('../compile-engine.ts')).default();
    };
    await compilerThat('echo "vector.h:3: error: no such type" >&2; exit 1');
    await expect(compileEngine()).rejects.toThrow('vector.h:3: error: no such type');
    vi.stubEnv('PATH', folder);
    vi.stubEnv('CXX', '');
    await expect(compileEngine()).resolves.toBeUndefined();
  });

  test('ends a benchmark if it fails and no other backend was requested', async () => {
    await compilerThat('echo "fatal error: disk on fire" >&2; exit 1');
    await freshly();
    const [{ runCommandLine }, { stages }] = [
      await import('../../src/cli/program.ts'),
      await import('../../src/stages/index.ts'),
    ];
    let said = '';
    const stderr = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      said += String(text);
      return true;
    });
    const statuses: number[] = [];
    for (const what of ['train', 'generate', 'ops']) statuses.push(await runCommandLine(['bench', what], stages));
    stderr.mockRestore();
    expect(statuses).toEqual([2, 2, 2]);
    expect(said.match(/disk on fire\)\n.*--backend portable measures plain TypeScript/g)).toHaveLength(3);
  });

  test('explains in one line which backend auto chooses, with a working compiler and with a failing one', async () => {
    const opened = async () => {
      await freshly();
      const { openBackend } = await import('../../src/tensor/backends/open.ts');
      const { backend, explanation } = await openBackend({ backend: 'auto', precision: 'f32', threads: 1 });
      await backend.dispose();
      return explanation;
    };
    vi.stubEnv('XDG_CACHE_HOME', join(path, '..', '..'));
    expect(await opened()).toMatch(/^native engine, .*, f32 products, 1 thread \(auto\)$/);
    vi.stubEnv('XDG_CACHE_HOME', folder);
    await compilerThat('printf "fatal error: disk on fire\\nand so on\\n" >&2; exit 1');
    expect(await opened()).toMatch(
      /^plain TypeScript, about 200 times slower .* \(auto: native is not available: .* disk on fire\)$/,
    );
  });

  test('happens once for two simultaneous requests, and never again', async () => {
    await compilerThat(linksTheKnownLibrary);
    const both = await Promise.all([(await freshly())(), (await freshly())()]);
    expect(both.map(({ available }) => available)).toEqual([true, true]);
    expect((await (await freshly())()).available).toBe(true);
    expect(await linkings()).toBe(1);
    expect(await readdir(join(folder, 'mixtune'))).toEqual([expect.stringMatching(/^engine-\w+\.node$/)]);
  });

  test('works again after a process died while compiling', async () => {
    await compilerThat(linksTheKnownLibrary);
    const first = await (await freshly())();
    await rm(first.path!);
    await writeFile(`${first.path}.lock`, `999999999 ${hostname()}`);
    await mkdir(`${first.path}.build`);
    expect((await (await freshly())()).available).toBe(true);
    expect(await linkings()).toBe(2);
  });
});
