/** Words of the completion that count: whoever writes more gains nothing by it. */
const counted = 24;
const words = (text) => text.toLowerCase().match(/[a-z]+/g) ?? [];

/** Share of the instruction's words of four letters or more that come up among the first words of the completion. */
export default function lexicalReward(prompt, completion) {
  const wanted = new Set(words(prompt).filter((word) => word.length >= 4));
  if (wanted.size === 0) return 0;
  const said = new Set(words(completion).slice(0, counted));
  return [...wanted].filter((word) => said.has(word)).length / wanted.size;
}
