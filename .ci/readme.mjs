// Runs the README's commands verbatim in a folder where the packed mixtune is installed and the quickstart has run:
// `node .ci/readme.mjs FOLDER`. `npm start` and `npm test` are checked by other sections of .ci/run.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.argv[2];
const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const blocks = [...readme.matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)].map(([, language, text]) => ({ language, text }));

/** Sample files for the commands that need the user's own. */
const rows = (count, row) => JSON.stringify(Array.from({ length: count }, (_, index) => row(index)));
const lines = (count, row) => Array.from({ length: count }, (_, index) => `${JSON.stringify(row(index))}\n`).join('');
const files = {
  'books/one.txt': 'The cat sat on the mat and the dog sat on the log.\n\n'.repeat(200),
  'alpaca.json': rows(50, (i) => ({ instruction: `Say ${i}.`, output: `${i} it is.` })),
  'pairs.json': rows(50, (i) => ({ prompt: `Say ${i}.`, chosen: `${i} it is.`, rejected: 'No.' })),
  'arc-easy-test.jsonl': lines(4, (i) => ({
    question: `Which is ${i}?`,
    choices: { text: [`${i}`, 'none'], label: ['A', 'B'] },
    answerKey: 'A',
  })),
  'rows.jsonl': lines(4, (i) => ({ question: `Say ${i}.`, options: [`${i}`, 'none'], right: 0 })),
  'mine.yaml':
    'kind: choice\nprompt: "Question: {{ question }}\\nAnswer:"\nchoices: "{{ options }}"\nanswer: "{{ right }}"\nmetrics: [accuracy]\n',
  'choices.json': rows(8, (i) => ({ question: `Which is ${i}?`, choices: [`${i}`, 'none'], answer: 0 })),
};
for (const [name, text] of Object.entries(files)) {
  mkdirSync(join(folder, name, '..'), { recursive: true });
  writeFileSync(join(folder, name), text);
}

/** The command with its placeholders replaced by paths that exist; a pipeline that takes hours only shows its plan. */
const withFiles = (command) =>
  command
    .replace('path/to/model', 'checkpoints/quickstart/sft/mix/seed-1/final')
    .replace('path/to/alpaca.json', 'alpaca.json --steps 2') + (/ run own-files/.test(command) ? ' --dry-run' : '');

let ran = 0;
const run = (program, ...args) => {
  execFileSync(program, args, { cwd: folder, stdio: 'inherit' });
  ran += 1;
};
for (const { language, text } of blocks) {
  if (language === 'js') {
    writeFileSync(join(folder, 'readme.mjs'), text);
    run(process.execPath, 'readme.mjs');
  } else if (language === 'sh' || language === 'text') {
    const commands = text.split('\n').filter((line) => line.startsWith('npx mixtune '));
    for (const command of commands) {
      console.log(`$ ${command}`);
      run('bash', '-c', language === 'text' ? withFiles(command) : command);
    }
  }
}
if (ran < 10) throw new Error(`only ${ran} of the README's commands were found`);
console.log(`${ran} commands of the README ran`);
