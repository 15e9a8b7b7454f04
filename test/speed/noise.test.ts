import { afterEach, expect, it, vi } from 'vitest';
import { initialiseModel } from '../../src/model/initialise.ts';
import { presetConfig } from '../../src/model/presets.ts';
import { generationSpeed } from '../../src/speed/generation-speed.ts';
import { operationSpeeds } from '../../src/speed/operation-speed.ts';
import { dispatchMicroseconds, measureRoofline } from '../../src/speed/roofline.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

/** A machine that is busier at first: whatever is measured later takes less. */
function calmingDown(): void {
  let [now, pause] = [0, 1e9];
  vi.spyOn(performance, 'now').mockImplementation(() => {
    now += pause;
    pause = Math.max(1, pause / 2);
    return now;
  });
}

const positive = (value: unknown) => typeof value === 'number' && value > 0 && value < Number.POSITIVE_INFINITY;

it('no speed of generation is missing or negative because of noise', async () => {
  const backend = new PortableBackend('f32');
  const model = await initialiseModel({ ...presetConfig('1m'), vocabSize: 32, layers: 1 }, backend, 1);
  calmingDown();
  const speed = await generationSpeed(model, { batch: 2, promptTokens: 2, newTokens: 2, rounds: 1 });
  expect(positive(speed.tokensPerSecond)).toBe(true);
  expect(positive(speed.prefillTokensPerSecond)).toBe(true);
  expect(positive(speed.decodeTokensPerSecond)).toBe(true);
  const short = await generationSpeed(model, { batch: 2, promptTokens: 2, newTokens: 1, rounds: 1 });
  expect(short.decodeTokensPerSecond).toBeUndefined();
});

it('no operation takes less than no time because of noise', async () => {
  const backend = new PortableBackend('f32');
  const config = { ...presetConfig('1m'), vocabSize: 32, layers: 1 };
  calmingDown();
  const speeds = await operationSpeeds(config, backend, { batch: 1, length: 2, rounds: 1 });
  expect(speeds.filter(({ seconds }) => !positive(seconds))).toEqual([]);
  const { ask, run } = await dispatchMicroseconds(backend, 10);
  expect([ask, run, ...Object.values(await measureRoofline(backend))].every(positive)).toBe(true);
});
