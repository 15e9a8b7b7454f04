import { RandomStream } from '../random.ts';

const draws = 2000;

/**
 * 95 % percentile interval of the mean of differences [seeds][items] by a hierarchical bootstrap: each of 2,000 draws
 * takes as many seeds as there are, and of these as many items, both with replacement. The items are the same for all
 * seeds, so each draw takes one choice of items for all of its seeds (Owen 2007, "The pigeonhole bootstrap"): drawn
 * anew for each seed, the items would seem to be as many as there are seeds times items.
 *
 * It is the range for other seeds and other items, but too narrow for few seeds: of three it can only repeat three.
 */
export function bootstrapInterval(differences: readonly (readonly number[])[]): [low: number, high: number] {
  const random = new RandomStream(0, 'bootstrap');
  const [seeds, items] = [differences.length, differences[0]!.length];
  const means = Array.from({ length: draws }, () => {
    const [timesOfSeed, timesOfItem] = [drawn(seeds, random), drawn(items, random)];
    let sum = 0;
    for (const [seed, row] of differences.entries()) {
      const times = timesOfSeed[seed]!;
      if (times === 0) continue;
      let total = 0;
      for (let item = 0; item < items; item++) total += timesOfItem[item]! * row[item]!;
      sum += times * total;
    }
    return sum / (seeds * items);
  });
  means.sort((a, b) => a - b);
  return [quantileOf(means, 0.025), quantileOf(means, 0.975)];
}

/** How often each of `count` is taken when as many are drawn with replacement. */
function drawn(count: number, random: RandomStream): Uint32Array {
  const times = new Uint32Array(count);
  for (let i = 0; i < count; i++) times[random.integer(count)]!++;
  return times;
}

/** Linear between the two nearest of sorted values, as numpy has it. */
function quantileOf(sorted: readonly number[], probability: number): number {
  const place = probability * (sorted.length - 1);
  const below = Math.floor(place);
  return sorted[below]! + (place - below) * (sorted[Math.ceil(place)]! - sorted[below]!);
}
