import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspectFile } from '../../src/checkpoint/inspect.ts';
import { saveModel } from '../../src/checkpoint/load-model.ts';
import { readModelDirectory } from '../../src/checkpoint/model-directory.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors-reader.ts';
import { openWeights } from '../../src/checkpoint/sharded.ts';
import type { Message } from '../../src/data/rows.ts';
import { chatRenderer } from '../../src/data/template.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { loadTokenizer } from '../../src/tokenizer/open.ts';
import { defaultChatTemplate } from '../../src/tokenizer/special-tokens.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';
import { mix } from '../checkpoint/made-models.ts';
import { folder, hold } from './harness.ts';
import { mutateBytes, mutateJson, mutateText } from './mutators.ts';

const tokenizer = trainTokenizer(['the cat sat on the mat'.repeat(10)], { vocabSize: 270 });
const model = await initialiseModel({ ...mix, vocabSize: tokenizer.vocabSize }, new PortableBackend('f32'), 1);

/** A model of its own for each reader, so that what one breaks is whole for the others. */
async function modelFolder(name: string): Promise<string> {
  const directory = join(folder, name);
  mkdirSync(directory);
  await saveModel(directory, model, { tokenizer });
  return directory;
}

const [configured, generating, tokenized, configuredTokenizer, templated, weighed, sharded, mapped] = await Promise.all(
  ['config', 'generation', 'tokenizer', 'tokenizer-config', 'template', 'weights', 'sharded', 'map'].map(modelFolder),
);
const fileOf = (directory: string | undefined, name: string) => readFileSync(join(directory!, name));

/** Reads a directory in which one file is what the input is. */
const inside =
  (directory: string | undefined, name: string, read: (directory: string) => unknown) =>
  (input: Buffer): unknown => {
    writeFileSync(join(directory!, name), input);
    return read(directory!);
  };

const conversation: Message[] = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Hi' },
  { role: 'assistant', content: 'Ho' },
];

async function render(directory: string): Promise<unknown> {
  return chatRenderer(await loadTokenizer(directory)).conversation(conversation);
}

async function tokenize(directory: string): Promise<unknown> {
  const read = await loadTokenizer(directory);
  const ids = read.encode('the cat <|end|> sät\u0301 on 👩‍👩‍👧\r\n 12345  ');
  return [...ids, read.decode([...ids])];
}

const chatMl =
  "{%- for m in messages -%}{{- '<|im_start|>' + m.role + '\\n' + m['content'] | trim + '<|im_end|>' }}{{ '\\n' }}{%- endfor -%}" +
  "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
const withMacro =
  '{% macro turn(role, text) %}[{{ role|upper }}] {{ text }}{% endmacro %}{% set ns = namespace(n=0) %}' +
  "{% for m in messages if m.role != 'system' %}{% set ns.n = ns.n + 1 %}{% if loop.index0 > 100 %}{{ raise_exception('no') }}{% endif %}{{ turn(m.role, m.content) }}{% for i in range(ns.n) %} {% endfor %}{% endfor %}";

const config = JSON.parse(fileOf(configured, 'config.json').toString('utf8'));
const { rope_theta: _, ...rest } = config;
const plain = { ...rest, rope_parameters: { rope_type: 'default', rope_theta: 10000 } };

/** The weights as one part, which is listed in an index. */
const [whole, part] = [join(sharded!, 'model.safetensors'), join(sharded!, 'part.safetensors')];
renameSync(whole, part);
const names = [...(await openSafetensors(part)).tensors.keys()];
const index = {
  metadata: { total_size: 1 },
  weight_map: Object.fromEntries(names.map((name) => [name, 'part.safetensors'])),
};

/** The header of a safetensors file changed, with its length as it then is. */
function header(mutate: (input: Buffer, random: never) => Buffer) {
  return (input: Buffer, random: never): Buffer => {
    const length = Number(input.readBigUInt64LE(0));
    const changed = mutate(input.subarray(8, 8 + length), random);
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(changed.length));
    return Buffer.concat([size, changed, input.subarray(8 + length)]);
  };
}

hold([
  {
    name: 'chat-template',
    samples: [defaultChatTemplate, chatMl, withMacro],
    mutators: [mutateText, mutateText, mutateText, mutateBytes],
    read: inside(templated, 'chat_template.jinja', render),
  },
  {
    name: 'tokenizer',
    samples: [fileOf(tokenized, 'tokenizer.json')],
    mutators: [mutateJson, mutateJson, mutateText, mutateBytes],
    read: inside(tokenized, 'tokenizer.json', tokenize),
    wrong: (ids: readonly unknown[]) =>
      ids.slice(0, -1).some((id) => !Number.isInteger(id)) ? 'gives ids that are no whole numbers' : undefined,
  },
  {
    name: 'tokenizer-config',
    samples: [
      JSON.stringify({
        bos_token: '<|pad|>',
        eos_token: { content: '<|end|>' },
        add_bos_token: true,
        chat_template: chatMl,
      }),
      fileOf(configuredTokenizer, 'tokenizer_config.json'),
    ],
    mutators: [mutateJson, mutateJson, mutateText, mutateBytes],
    read: inside(configuredTokenizer, 'tokenizer_config.json', async (directory) => [
      await tokenize(directory),
      await render(directory),
    ]),
  },
  {
    name: 'special-tokens-map',
    samples: [JSON.stringify({ bos_token: '<|end|>', eos_token: { content: '<|end|>', lstrip: false } })],
    mutators: [mutateJson, mutateJson, mutateText, mutateBytes],
    read: inside(mapped, 'special_tokens_map.json', tokenize),
  },
  {
    name: 'config',
    samples: [JSON.stringify(config), JSON.stringify(plain)],
    mutators: [mutateJson, mutateJson, mutateText, mutateBytes],
    read: inside(configured, 'config.json', readModelDirectory),
    wrong: ({ config: read }: Awaited<ReturnType<typeof readModelDirectory>>) => {
      const bad = Object.entries(read).find(
        ([, value]) => typeof value === 'number' && !(value >= 0 && Number.isFinite(value)),
      );
      return bad && `${bad[0]} is ${bad[1]}`;
    },
  },
  {
    name: 'generation-config',
    samples: [JSON.stringify({ eos_token_id: [1, 2], bos_token_id: 0, temperature: 0.7, do_sample: true, top_p: 0.9 })],
    mutators: [mutateJson, mutateJson, mutateText, mutateBytes],
    read: inside(generating, 'generation_config.json', async (directory) => [
      await readModelDirectory(directory),
      await loadTokenizer(directory),
    ]),
  },
  {
    name: 'safetensors',
    samples: [fileOf(weighed, 'model.safetensors')],
    mutators: [
      header(mutateJson as never) as never,
      header(mutateJson as never) as never,
      header(mutateBytes as never) as never,
      mutateBytes,
    ],
    read: inside(weighed, 'model.safetensors', async (directory) => [
      await inspectFile(join(directory, 'model.safetensors')),
      await readModelDirectory(directory),
    ]),
  },
  {
    name: 'index',
    samples: [JSON.stringify(index)],
    mutators: [mutateJson, mutateJson, mutateText, mutateBytes],
    read: inside(sharded, 'model.safetensors.index.json', openWeights),
  },
]);
