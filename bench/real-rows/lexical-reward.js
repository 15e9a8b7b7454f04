/** Words of the completion that count: whoever writes more gains nothing by it. */
const counted = 24;

/** Share of long words, six letters or more, among the first 24; a completion of fewer words has the missing ones against it. */
export default function lexicalReward(_prompt, completion) {
  const words = (completion.toLowerCase().match(/[a-z]+/g) ?? []).slice(0, counted);
  return words.filter((word) => word.length >= 6).length / counted;
}
