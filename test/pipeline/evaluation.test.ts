import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { counter, records, startCounter } from './command.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-evaluation-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const node = () => join(folder, 'out');

/** `count` by itself, with flags. */
const count = (flags: string) => counter(folder, 'count', '--out', 'out', ...flags.split(' '));

const result = async () => JSON.parse(await readFile(join(node(), 'final/config.json'), 'utf8'));

const types = async () => (await records(node())).map(({ type, step }) => `${type} ${step}`);

describe('the best evaluation', () => {
  it.each([
    ['loss', '3', 2],
    ['calibrationError', '3', 2],
    ['accuracy', '6', 4],
  ])('by %s is the one of the direction that is declared', async (metric, value, evaluation) => {
    const { status, stderr } = await count(`--steps 10 --eval-every 2 --best ${metric} --losses 5 3 4 6 5.5`);
    expect(status, stderr).toBe(0);
    expect(await result()).toMatchObject({ step: 2 * evaluation });
    const manifest = JSON.parse(await readFile(join(node(), 'manifest.json'), 'utf8'));
    expect(manifest.best).toEqual({ step: 2 * evaluation, value: Number(value) });
  });

  it.each([
    ['1', '5 6 4 3 2', 4, 2],
    ['2', '5 6 7 4 3', 6, 2],
    ['2', '5 6 4 7 8', 10, 6],
    ['3', '5 5 5 5 1', 8, 2],
  ])(
    'with a patience of %s and losses %s ends after %i steps, with that of step %i',
    async (patience, losses, last, best) => {
      const { status } = await count(`--steps 10 --eval-every 2 --best loss --patience ${patience} --losses ${losses}`);
      expect(status).toBe(0);
      expect((await records(node())).at(-1)).toMatchObject({ type: 'done', step: last });
      expect(await result()).toMatchObject({ step: best });
    },
  );

  it.each([
    ['accurcy', 'measures no `accurcy`', 'did you mean `accuracy`?'],
    ['sum', 'measures no `sum`', 'there is `loss`, `calibrationError`, `accuracy`'],
    ['endRate', '`endRate` has no better direction', 'there is `loss`, `calibrationError`, `accuracy`'],
    ['constructor', 'measures no `constructor`', 'there is'],
  ])('by %s is refused before anything starts', async (metric, message, hint) => {
    const alone = await count(`--steps 4 --eval-every 2 --best ${metric}`);
    await writeFile(
      join(folder, 'p.yaml'),
      `name: p\nstages:\n  a: { run: count, steps: 4, evalEvery: 2, best: ${metric} }\n`,
    );
    const [run, check] = [await counter(folder, 'run', 'p.yaml'), await counter(folder, 'check', 'p.yaml')];
    for (const { status, stderr } of [alone, run, check]) {
      expect(stderr).toContain(message);
      expect(stderr).toContain(hint);
      expect(status).toBe(2);
    }
    expect(await readdir(folder)).toEqual(['p.yaml']);
  });
});

describe('work that was done is kept where', () => {
  it('a sample cannot be made, while it runs and at the end', async () => {
    const { status, stderr } = await count('--steps 3 --sample-every 2 --sample-fails');
    expect(status).toBe(0);
    expect(stderr).toContain('warning: no samples at step 2: nothing can be sampled');
    expect(stderr).toContain('warning: no samples at step 3: nothing can be sampled');
    expect(await result()).toMatchObject({ step: 3 });
    expect((await types()).at(-1)).toBe('done 3');
  });

  it('a request turns out to be wrong after the first step', async () => {
    const { status, stderr } = await count('--steps 8 --save-every 2 --request-at 5');
    expect(status).toBe(1);
    expect(stderr).toContain('mixtune: data: a row is wrong\n');
    expect(stderr).not.toContain('nothing was started');
    expect(existsSync(join(node(), 'state-000004'))).toBe(true);
    expect((await records(node())).at(-1)).toMatchObject({ type: 'failed', message: 'data: a row is wrong' });
  });

  it('an evaluation fails: the steps until then are saved', async () => {
    const { status, stderr } = await count('--steps 8 --eval-every 3 --eval-fail-at 6');
    expect(status).toBe(1);
    expect(stderr).toContain('the evaluation at step 6 failed: nothing can be measured');
    expect(existsSync(join(node(), 'state-000006'))).toBe(true);
  });
});

describe('what is held out is measured', () => {
  it('before the first step, as often as asked, and at the end, and all of it is shown', async () => {
    const { status, stdout, stderr } = await count('--steps 5 --eval-every 2 --losses 5 3 --json');
    expect(status).toBe(0);
    expect((await types()).filter((type) => type.startsWith('eval'))).toEqual(['eval 0', 'eval 2', 'eval 4', 'eval 5']);
    expect((await types()).slice(0, 3)).toEqual(['start 0', 'eval 0', 'step 1']);
    expect(stderr).toContain('count: held out before the first step: loss Infinity');
    expect(stderr).toContain('count: held out after step 2: loss 5.000 (Infinity at first)');
    expect(stderr).toContain('count: held out after step 5: loss 0.2000 (Infinity at first), calibrationError 20.0 %');
    const { heldOut } = JSON.parse(stdout);
    expect(heldOut).toMatchObject({ first: { step: 0, accuracy: 'Infinity' }, last: { step: 5, loss: 0.2 } });
    expect(`${stdout}${stderr}`.match(/done after/g)).toBeNull();
  });

  it('without being asked, before the first step and at the end', async () => {
    expect((await count('--steps 3')).status).toBe(0);
    expect(await types()).toEqual(['start 0', 'eval 0', 'step 1', 'step 2', 'step 3', 'eval 3', 'sample 3', 'done 3']);
  });

  it('the same where the run was broken off and went on', async () => {
    const flags = '--steps 8 --eval-every 3 --save-every 2 --die-at 5';
    await startCounter(folder, 'count', '--out', 'out', ...flags.split(' ')).ended;
    expect((await count(flags)).status).toBe(0);
    const evaluations = (await records(node())).filter(({ type }) => type === 'eval');
    expect(evaluations.map(({ step }) => step)).toEqual([0, 3, 6, 8]);
  });

  it('in a pipeline too, by node', async () => {
    await writeFile(join(folder, 'p.yaml'), 'name: p\nstages:\n  a: { run: count, steps: 4 }\n');
    const { stdout, stderr } = await counter(folder, 'run', 'p.yaml', '--json');
    expect(stderr).toContain('a/shared/seed-1: held out before the first step: loss Infinity');
    expect(stderr).toContain('a/shared/seed-1: held out after step 4: loss 0.2500');
    expect(JSON.parse(stdout).nodes[0].heldOut).toMatchObject({ first: { step: 0 }, last: { step: 4, loss: 0.25 } });
  });

  it.each([
    ['--eval-every 2', '  --eval-every: no part of --data that can be measured is held out'],
    ['--eval-every 2 --best loss', '  --eval-every: no part of --data that can be measured is held out'],
  ])('or refused with %s where data turns out to hold nothing out', async (flags, message) => {
    const { status, stderr } = await count(`--steps 4 --nothing-held-out ${flags}`);
    expect(stderr).toContain(message);
    expect(stderr).toContain('nothing was started');
    expect(status).toBe(2);
    expect(existsSync(node())).toBe(false);
  });
});

it('what a pipeline has made with other settings is kept, and where is said', async () => {
  await writeFile(join(folder, 'p.yaml'), 'name: p\nstages:\n  a: { run: count, steps: 4 }\n');
  await counter(folder, 'run', 'p.yaml');
  const { status, stderr } = await counter(folder, 'run', 'p.yaml', '--set', 'stages.a.steps=5');
  expect(status).toBe(0);
  const [, kept] = /a\/shared\/seed-1: the result of other settings is kept in (\S+)/.exec(stderr) ?? [];
  const old = JSON.parse(await readFile(join(folder, kept!, 'final/config.json'), 'utf8'));
  expect(old).toMatchObject({ step: 4 });
});
