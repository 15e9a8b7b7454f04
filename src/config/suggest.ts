/** Beyond these limits no similar name is searched for: comparing takes time proportional to both. */
const mostNames = 1000;
const longestName = 100;
const shownNames = 30;

/** The candidate closest to a misspelt word, undefined if none is close enough. */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  if (word.length > longestName || candidates.length > mostNames) return undefined;
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    if (candidate.length > longestName) continue;
    const [own, other] = [simplified(word), simplified(candidate)];
    const distance = editDistance(own, other);
    // At the length of the longer one, they have nothing in common.
    if (distance < Math.min(bestDistance, Math.max(own.length, other.length))) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** A hint for an unknown name: `did you mean …?`, or the names to choose from if none is similar. */
export function suggestion(word: string, candidates: readonly string[]): string {
  const near = closest(word, candidates);
  if (near !== undefined) return `did you mean \`${near}\`?`;
  if (candidates.length === 0) return 'there are none to choose from';
  const shown = candidates.slice(0, shownNames).map((name) => `\`${name}\``);
  const hidden = candidates.length - shown.length;
  return `there is ${shown.join(', ')}${hidden > 0 ? ` and ${hidden} more` : ''}`;
}

/** Ignores case, hyphens and underscores: `learning-rate` is `learningRate`. */
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
