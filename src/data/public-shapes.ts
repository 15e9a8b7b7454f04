import { isJsonObject } from '../checkpoint/strict-json.ts';
import type { Problem } from '../errors.ts';
import { shellPath } from './containers.ts';
import type { Use } from './rows.ts';

type Row = Readonly<Record<string, unknown>>;

/** How to make the rows of a public dataset readable: a descriptor of its columns, a program for jq, or advice. */
type Remedy = { format: string; columns: Readonly<Record<string, string>> } | { jq: string } | { words: string };

interface PublicShape {
  /** The name by which it is known. */
  name: string;
  /** Columns by which it is recognised. */
  has: readonly string[];
  /** Columns that it does not have, unlike formats that are read. */
  lacks?: readonly string[];
  is?: (row: Row) => boolean;
  /** A remedy for each use for which its rows would be refused or misread. */
  remedies: { readonly [U in Use]?: Remedy };
}

const alpaca = (columns: Readonly<Record<string, string>>): Remedy => ({ format: 'alpaca', columns });
const answered = (columns: Readonly<Record<string, string>>) => ({
  messages: alpaca(columns),
  prompt: alpaca(columns),
});
const isListOf = (value: unknown, is: (item: unknown) => boolean) =>
  Array.isArray(value) && value.length > 0 && value.every(is);
const isText = (value: unknown) => typeof value === 'string';
const hasKey = (key: string) => (item: unknown) => isJsonObject(item) && Object.hasOwn(item, key);

/** Known shapes, the more specific ones before the more general ones. */
export const publicShapes: readonly PublicShape[] = [
  {
    name: 'Anthropic-SHP',
    has: ['history', 'human_ref_A', 'human_ref_B', 'labels'],
    remedies: {
      preference: {
        jq: '{prompt: .history, chosen: (if .labels == 1 then .human_ref_A else .human_ref_B end), rejected: (if .labels == 1 then .human_ref_B else .human_ref_A end)}',
      },
    },
  },
  {
    name: 'UltraFeedback before binarization',
    has: ['instruction', 'completions'],
    remedies: {
      preference: {
        jq: '(.completions | sort_by(.overall_score)) as $c | {prompt: .instruction, chosen: $c[-1].response, rejected: $c[0].response}',
      },
      messages: { jq: '{instruction, output: (.completions | max_by(.overall_score)).response}' },
    },
  },
  {
    name: 'Nectar',
    has: ['prompt', 'answers'],
    is: ({ answers }) => isListOf(answers, hasKey('rank')),
    remedies: {
      preference: {
        jq: '{prompt, chosen: (.answers | min_by(.rank)).answer, rejected: (.answers | max_by(.rank)).answer}',
      },
    },
  },
  {
    name: 'HelpSteer',
    has: ['prompt', 'response', 'helpfulness'],
    remedies: {
      messages: alpaca({ instruction: 'prompt', output: 'response' }),
      preference: {
        words: 'it rates single answers: make pairs of two answers to the same prompt, the better one as `chosen`',
      },
    },
  },
  {
    name: 'Orca DPO pairs',
    has: ['question', 'chosen', 'rejected'],
    lacks: ['prompt', 'conversations'],
    is: ({ chosen }) => isText(chosen),
    remedies: {
      preference: { format: 'preference', columns: { prompt: 'question' } },
      prompt: { format: 'preference', columns: { prompt: 'question' } },
    },
  },
  {
    name: 'pairs under an instruction',
    has: ['instruction', 'chosen', 'rejected'],
    lacks: ['prompt', 'conversations'],
    is: ({ chosen }) => isText(chosen),
    remedies: { preference: { format: 'preference', columns: { prompt: 'instruction' } } },
  },
  {
    name: 'oasst',
    has: ['message_id', 'text', 'role'],
    remedies: {
      messages: {
        words:
          'its rows are messages that form trees: write each path from a root to a leaf as one row {"messages": [{"role": "user", "content": …}, …]}',
      },
    },
  },
  {
    name: 'ARC and CommonsenseQA',
    has: ['question', 'choices', 'answerKey'],
    remedies: {
      choice: { jq: '.answerKey as $key | {question, choices: .choices.text, answer: (.choices.label | index($key))}' },
    },
  },
  {
    name: 'OpenBookQA',
    has: ['question_stem', 'choices', 'answerKey'],
    remedies: {
      choice: {
        jq: '.answerKey as $key | {question: .question_stem, choices: .choices.text, answer: (.choices.label | index($key))}',
      },
    },
  },
  {
    name: 'RACE',
    has: ['article', 'question', 'options', 'answer'],
    remedies: { choice: { jq: '{question: (.article + "\\n\\n" + .question), choices: .options, answer}' } },
  },
  {
    name: 'MMLU-Pro',
    has: ['question', 'options', 'answer'],
    remedies: { choice: { format: 'choice', columns: { choices: 'options' } } },
  },
  {
    name: 'C-Eval and CMMLU',
    has: ['question', 'A', 'B', 'C', 'D', 'answer'],
    remedies: { choice: { jq: '{question, choices: [.A, .B, .C, .D], answer}' } },
  },
  {
    name: 'HellaSwag',
    has: ['ctx', 'endings', 'label'],
    remedies: { choice: { jq: '{question: .ctx, choices: .endings, answer: (.label | tonumber)}' } },
  },
  {
    name: 'PIQA',
    has: ['goal', 'sol1', 'sol2', 'label'],
    remedies: { choice: { jq: '{question: .goal, choices: [.sol1, .sol2], answer: .label}' } },
  },
  {
    name: 'WinoGrande',
    has: ['sentence', 'option1', 'option2', 'answer'],
    remedies: {
      choice: { jq: '{question: .sentence, choices: [.option1, .option2], answer: ((.answer | tonumber) - 1)}' },
    },
  },
  {
    name: 'BoolQ',
    has: ['question', 'passage', 'answer'],
    remedies: {
      choice: {
        jq: '{question: (.passage + "\\n\\n" + .question), choices: ["no", "yes"], answer: (if .answer then 1 else 0 end)}',
      },
      messages: {
        jq: '{instruction: (.passage + "\\n\\n" + .question), output: (if .answer then "yes" else "no" end)}',
      },
    },
  },
  {
    name: 'TruthfulQA',
    has: ['question', 'mc1_targets'],
    remedies: { choice: { jq: '{question, choices: .mc1_targets.choices, answer: (.mc1_targets.labels | index(1))}' } },
  },
  {
    name: 'SQuAD',
    has: ['question', 'context', 'answers'],
    remedies: {
      prompt: { jq: '{prompt: (.context + "\\n\\n" + .question), answer: .answers.text[0]}' },
      messages: { jq: '{instruction: (.context + "\\n\\n" + .question), output: .answers.text[0]}' },
    },
  },
  {
    name: 'function calls (xLAM)',
    has: ['query', 'answers', 'tools'],
    remedies: { messages: { words: '`tools` and `answers` are functions and calls of them, which are not read' } },
  },
  {
    name: 'Capybara',
    has: ['conversation'],
    is: ({ conversation }) => isListOf(conversation, hasKey('input')),
    remedies: {
      messages: {
        jq: '{messages: [.conversation[] | {role: "user", content: .input}, {role: "assistant", content: .output}]}',
      },
    },
  },
  {
    name: 'LMSYS-Chat and WildChat',
    has: ['conversation'],
    is: ({ conversation }) => isListOf(conversation, hasKey('role')),
    remedies: {
      messages: { format: 'chat', columns: { messages: 'conversation' } },
      prompt: { format: 'chat', columns: { messages: 'conversation' } },
    },
  },
  {
    name: 'UltraChat before conversion to messages',
    has: ['data'],
    lacks: ['messages', 'conversations', 'text'],
    is: ({ data }) => isListOf(data, isText),
    remedies: {
      messages: {
        jq: '{messages: [.data | to_entries[] | {role: (if .key % 2 == 0 then "user" else "assistant" end), content: .value}]}',
      },
    },
  },
  {
    name: 'Dolly',
    has: ['instruction', 'context', 'response'],
    lacks: ['input', 'output'],
    remedies: answered({ input: 'context', output: 'response' }),
  },
  {
    name: 'instructions with a response',
    has: ['instruction', 'response'],
    lacks: ['output', 'chosen', 'messages'],
    remedies: answered({ output: 'response' }),
  },
  {
    name: 'OpenOrca',
    has: ['system_prompt', 'question', 'response'],
    remedies: answered({ instruction: 'question', output: 'response' }),
  },
  {
    name: 'questions with a response',
    has: ['question', 'response'],
    lacks: ['chosen', 'messages', 'choices'],
    remedies: answered({ instruction: 'question', output: 'response' }),
  },
  {
    name: 'MetaMath',
    has: ['query', 'response'],
    remedies: answered({ instruction: 'query', output: 'response' }),
  },
  {
    name: 'MATH',
    has: ['problem', 'solution'],
    lacks: ['messages', 'prompt', 'answer'],
    remedies: {
      messages: alpaca({ instruction: 'problem', output: 'solution' }),
      prompt: {
        words: 'the answer is inside `solution`, as \\boxed{…}: extract it and write rows {"prompt": …, "answer": …}',
      },
    },
  },
  {
    name: 'MATH with answers',
    has: ['problem', 'solution', 'answer'],
    lacks: ['messages', 'prompt'],
    remedies: {
      messages: alpaca({ instruction: 'problem', output: 'solution' }),
      prompt: { format: 'prompt', columns: { prompt: 'problem' } },
    },
  },
  {
    name: 'GSM8K',
    has: ['question', 'answer'],
    lacks: ['choices', 'messages', 'prompt', 'context'],
    is: ({ answer }) => isText(answer),
    remedies: {
      messages: alpaca({ instruction: 'question', output: 'answer' }),
      prompt: { format: 'prompt', columns: { prompt: 'question' } },
    },
  },
  {
    name: 'inputs with an output',
    has: ['input', 'output'],
    lacks: ['instruction', 'messages', 'conversations'],
    is: ({ input }) => isText(input),
    remedies: answered({ instruction: 'input' }),
  },
  {
    name: 'prompts with a response',
    has: ['prompt', 'response'],
    lacks: ['messages', 'conversations', 'completion', 'instruction'],
    is: ({ prompt }) => isText(prompt),
    remedies: { messages: alpaca({ instruction: 'prompt', output: 'response' }) },
  },
  {
    name: "TRL's prompt-completion",
    has: ['prompt', 'completion'],
    lacks: ['messages', 'conversations', 'label'],
    is: ({ prompt }) => isText(prompt),
    remedies: { messages: alpaca({ instruction: 'prompt', output: 'completion' }) },
  },
  {
    name: "TRL's prompt-completion",
    has: ['prompt', 'completion'],
    lacks: ['messages', 'conversations', 'label'],
    remedies: {
      messages: {
        jq: '{messages: ((.prompt | map(if .role == "assistant" then .train = false else . end)) + .completion)}',
      },
    },
  },
  {
    name: 'single messages',
    has: ['role', 'content'],
    lacks: ['messages', 'text'],
    remedies: {
      messages: { words: 'a row is a whole conversation: {"messages": [{"role": "user", "content": …}, …]}' },
    },
  },
  {
    name: 'documents',
    has: ['content'],
    lacks: ['text', 'role'],
    is: ({ content }) => isText(content),
    remedies: { text: { format: 'text', columns: { text: 'content' } } },
  },
];

function hasShape(row: Row, { has, lacks = [], is }: PublicShape): boolean {
  const holds = (key: string) => Object.hasOwn(row, key);
  return has.every(holds) && !lacks.some(holds) && (is?.(row) ?? true);
}

export const hasPublicShape = (row: Row): boolean => publicShapes.some((shape) => hasShape(row, shape));

/** A problem with a hint if a file has the shape of a public dataset that has to be converted for the use. */
export function publicShapeProblem(row: Row, use: Use, file: string): Pick<Problem, 'message' | 'hint'> | undefined {
  const shape = publicShapes.find((known) => known.remedies[use] !== undefined && hasShape(row, known));
  if (!shape) return undefined;
  const keys = shape.has.map((key) => `\`${key}\``).join(', ');
  const message = `the rows have ${keys}, the form of ${shape.name}, which cannot be read as ${use} rows without conversion`;
  return { message, hint: told(shape.remedies[use]!, file) };
}

function told(remedy: Remedy, file: string): string {
  if ('words' in remedy) return remedy.words;
  if ('jq' in remedy) {
    const from = file.endsWith('.json') ? `if type == "array" then .[] else . end | ${remedy.jq}` : remedy.jq;
    return `convert it, for instance with: jq -c '${from}' ${shellPath(file)} > ROWS.jsonl`;
  }
  const columns = Object.entries(remedy.columns).map(([column, source]) => `${column}: ${source}`);
  return `write into datasets/NAME.yaml: path: ${shellPath(file)}, format: ${remedy.format}, columns: { ${columns.join(', ')} }; then NAME is the dataset`;
}
