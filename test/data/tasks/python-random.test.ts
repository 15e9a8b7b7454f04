import { expect, test } from 'vitest';
import { PythonRandom } from '../../../src/data/tasks/python-random.ts';

test('draws what Python draws', () => {
  // r = random.Random(1234); r.sample(range(10), 3) …
  const random = new PythonRandom(1234);
  const drawn = [10, 10, 10].map((size) => random.sample(size, 3));
  expect(drawn).toEqual([
    [7, 1, 0],
    [1, 0, 9],
    [1, 5, 3],
  ]);
  expect([1000, 1000].map((size) => random.sample(size, 5))).toEqual([
    [17, 31, 807, 16, 354],
    [663, 638, 495, 630, 474],
  ]);
  expect(random.sample(1000, 8)).toEqual([152, 93, 187, 730, 117, 865, 14, 515]);
  expect(random.sample(100, 8)).toEqual([62, 31, 8, 85, 69, 59, 76, 86]);
});
