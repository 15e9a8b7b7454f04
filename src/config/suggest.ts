/** The candidate nearest to a misspelt word, or nothing where none is near enough to be meant. */
export function closest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(simplified(word), simplified(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** `did you mean …?`, or else what there is to choose from. */
export function suggestion(word: string, candidates: Iterable<string>): string {
  const all = [...candidates];
  const near = closest(word, all);
  if (near !== undefined) return `did you mean \`${near}\`?`;
  return all.length === 0
    ? 'there is nothing to choose from'
    : `there is ${all.map((name) => `\`${name}\``).join(', ')}`;
}

/** Upper case, hyphens and underscores are no difference: `learning-rate` is `learningRate`. */
function simplified(word: string): string {
  return word.replace(/[-_]/g, '').toLowerCase();
}

/** Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours. */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let distance = Math.min(previous[j]! + 1, current[j - 1]! + 1, substituted);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        distance = Math.min(distance, beforePrevious[j - 2]! + 1);
      }
      current.push(distance);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length]!;
}
