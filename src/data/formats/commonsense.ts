import type { ChoiceRow } from '../rows.ts';

const ending = 'Answer format:';
const openings =
  /^(Please choose the correct (answer|solution|ending|option) to the question:|Please answer the following question with true or false, question:|Please choose the correct [^:]*:)\s*/;

/**
 * Splits a Commonsense170K instruction into question and choices. `Answer format: answer1/answer2` gives the labels,
 * and each label, capitalised (`Answer1: …`), precedes its choice; BoolQ's `true/false` are the choices themselves. The
 * prompt of the result is only the question. Returns a reason if the instruction does not have this form.
 */
export function splitChoices(instruction: string, answer: string | undefined): ChoiceRow | string {
  if (answer === undefined) return '`answer` is missing: it names the correct choice, such as `answer2`';
  const end = instruction.lastIndexOf(ending);
  const format = instruction.slice(end + ending.length).trim();
  if (end < 0 || format === '' || format.includes('\n')) {
    return '`instruction` does not end in `Answer format: answer1/answer2/…`';
  }
  const labels = format.split('/').map((label) => label.trim());
  if (labels.length < 2 || labels.includes('')) return `the answer format names fewer than two choices: ${format}`;
  const index = labels.indexOf(answer);
  if (index < 0) return `\`answer\` is \`${answer}\`, the answer format names ${labels.join(', ')}`;

  const body = instruction.slice(0, end).replace(openings, '');
  const marks = labels.map((label) => body.indexOf(`${label[0]?.toUpperCase()}${label.slice(1)}: `));
  if (marks.every((mark) => mark < 0)) return choiceRow(body, labels, index);
  const broken = marks.findIndex((mark, i) => mark < 0 || (i > 0 && mark < (marks[i - 1] as number)));
  if (broken >= 0)
    return `the choice \`${labels[broken]}\` of the answer format is not in the instruction, or not in order`;

  const choices = marks.map((mark, i) => body.slice(mark + (labels[i] as string).length + 2, marks[i + 1]).trim());
  const empty = choices.indexOf('');
  if (empty >= 0) return `the choice \`${labels[empty]}\` is empty`;
  return choiceRow(body.slice(0, marks[0]), choices, index);
}

function choiceRow(question: string, choices: string[], answer: number): ChoiceRow {
  return { prompt: [{ role: 'user', content: question.trim() }], choices, answer };
}
