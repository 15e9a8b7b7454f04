import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isSameNumber, lastNumber } from '../../src/evaluation/numbers.ts';
import { verifiedReward } from '../../src/evaluation/reward-sources.ts';

function isSame(a: string, b: string): boolean {
  const [first, second] = [lastNumber(a), lastNumber(b)];
  return first !== undefined && second !== undefined && isSameNumber(first, second);
}

/** Spellings, each with the plain number that it is. */
const same: Record<string, [written: string, plain: string][]> = {
  separators: [
    ['1,003', '1003'],
    ['$1,234,567.', '1234567'],
    ['1, 003', '3'],
    ['(1,2,3)', '3'],
    ['(1,234,5)', '5'],
    ['1,2345', '2345'],
    ["1'234'567", '1234567'],
    ['1_000', '1000'],
    ['1\u202f000', '1000'],
    ['1\u00a0000.5', '1000.5'],
    ['1{,}000', '1000'],
    ['1\\,000', '1000'],
    ['10,\\!000', '10000'],
    ['1 000', '0'],
  ],
  'decimals and points': [
    ['.5', '0.5'],
    ['3.', '3'],
    ['3.0', '3'],
    ['5...', '5'],
    ['...5', '5'],
    ['No.5', '5'],
    ['version 3.2.1', '1'],
    ['007', '7'],
  ],
  signs: [
    ['−3', '-3'],
    ['–3', '-3'],
    ['+3', '3'],
    ['-0', '0'],
    ['skew=-.5', '-0.5'],
    ['(1, -2)', '-2'],
    ['pages 5-10', '10'],
    ['pages 5–10', '10'],
    ['COVID-19', '19'],
    ['(5)-10', '10'],
    ['a -- 4', '4'],
    ['x - 4', '4'],
    ['2024-05-03', '3'],
  ],
  fractions: [
    ['3/4', '0.75'],
    ['-3/4.', '-0.75'],
    ['1/3', '2/6'],
    ['1 1/2', '1.5'],
    ['-1 1/2', '-1.5'],
    ['1,000/4', '250'],
    ['¾', '0.75'],
    ['2½', '2.5'],
    ['\\frac{3}{4}', '0.75'],
    ['-\\dfrac{3}{4}', '-0.75'],
    ['1\\frac{1}{2}', '1.5'],
    ['\\frac12', '0.5'],
    ['3/4/2025', '2025'],
  ],
  powers: [
    ['1e3', '1000'],
    ['1E+3', '1000'],
    ['2.5e-3', '0.0025'],
    ['1.5 × 10^3', '1500'],
    ['1.5 \\times 10^{3}', '1500'],
    ['1.5 × 10⁻³', '0.0015'],
    ['10^3', '1000'],
    ['2^10', '1024'],
    ['2^{-1}', '0.5'],
    ['25 m^2', '25'],
    ['25 m²', '25'],
    ['3em', '3'],
  ],
  units: [
    ['$5', '5'],
    ['-$5', '-5'],
    ['$-5', '-5'],
    ['\\$5', '5'],
    ['5€', '5'],
    ['50%', '50'],
    ['50\\%', '0.5'],
    ['42kg', '42'],
    ['1st', '1'],
    ['１２．５', '12.5'],
  ],
  boxes: [
    ['\\boxed{42}, from step 3', '42'],
    ['\\boxed{1} then \\boxed{\\frac{1}{2}} in 3 steps', '0.5'],
    ['\\boxed{42', '42'],
    ['so **42**', '42'],
    ['5 + 6 = 11\n#### 1,003', '1003'],
  ],
};

for (const [kind, spellings] of Object.entries(same)) {
  test.each(spellings)(`${kind}: %s is %s`, (written, plain) => {
    expect(isSame(`The answer is ${written}`, plain)).toBe(true);
  });
}

test.each([
  ['1,003', '3'],
  ['1, 003', '1003'],
  ['−3', '3'],
  ['1/2', '2'],
  ['2^11', '2^10'],
  ['0.3333', '1/3'],
  ['50%', '5000'],
  ['12345678901234567890', '12345678901234567891'],
  ['\\boxed{no}, after 5 steps', '5'],
  ['no number', 'none'],
  ['5/0', '5/0'],
  ['1e99999', '1e99999'],
])('%s is not %s', (a, b) => {
  expect(isSame(a, b)).toBe(false);
});

const cases = join(import.meta.dirname, '../../../shared/cases/numbers.json');

test.skipIf(!existsSync(cases))('cases from the field (../shared)', async () => {
  const { rewardsOf } = verifiedReward('number', 1);
  for (const { completion, answer, right } of JSON.parse(readFileSync(cases, 'utf8'))) {
    const prompt = { prompt: [{ role: 'user' as const, content: 'q' }], answer };
    const rewards = await rewardsOf([{ row: 0, prompt, text: completion, tokens: new Int32Array() }]);
    expect({ completion, answer, rewards }).toEqual({ completion, answer, rewards: [Number(right)] });
  }
});
