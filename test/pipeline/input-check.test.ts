import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { inputProblems } from '../../src/pipeline/input-check.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';
import { folderWith, pre } from '../checkpoint/made-models.ts';

test('a chat template that cannot be used is found before a stage that writes conversations, and by no other', async () => {
  const folder = await folderWith({ ...pre, vocabSize: 300 }, {});
  await trainTokenizer(['a text'], { vocabSize: 262 }).save(folder);
  await writeFile(join(folder, 'chat_template.jinja'), 'a\n{{ messages | nosuch }}');
  const found = await inputProblems(folder, { kind: 'model', writesConversations: true });
  expect(found.map(({ message }) => message)).toEqual([
    'chat_template.jinja, line 2: the chat template cannot be used: the filter "nosuch" is not supported',
  ]);
  expect(await inputProblems(folder, { kind: 'model', writesConversations: false })).toEqual([]);
});
