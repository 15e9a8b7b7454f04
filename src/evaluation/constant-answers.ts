/** From this share of equal answers on, a model is said to answer without reading. */
const tellingShare = 0.95;
/** Fewer questions than these show nothing. */
const fewest = 20;

/**
 * A remark where nearly all answers are the same choice, and the right ones are not. The accuracy of such a model is
 * the share of questions of which that choice is the answer: of collapsed models, published accuracies such as 37.8 %
 * or 62.2 % in BoolQ and about 50 % in PIQA and WinoGrande are nothing else.
 */
export function constantAnswers(chosen: readonly number[], answers: readonly number[]): string | undefined {
  if (chosen.length < fewest) return undefined;
  const [choice, share] = mostFrequent(chosen);
  const right = answers.filter((answer) => answer === choice).length / answers.length;
  if (share < tellingShare || right >= tellingShare) return undefined;
  return `${percentage(share)} of the answers are choice ${choice + 1}, which is right in ${percentage(right)} of the questions: the accuracy is that of a constant answer`;
}

function mostFrequent(values: readonly number[]): [value: number, share: number] {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  const [[value, count]] = [...counts].sort(([, a], [, b]) => b - a) as [[number, number]];
  return [value, count / values.length];
}

const percentage = (share: number): string => `${Number((100 * share).toFixed(1))} %`;
