import type { Command } from 'commander';
import { checkTokenIds, encodePrompt } from '../data/encode.ts';
import type { Message } from '../data/rows.ts';
import { RequestError } from '../errors.ts';
import { stopIdsOf } from '../evaluation/exact-match.ts';
import { generate } from '../generation/generate.ts';
import { greedy, type Sampling } from '../generation/sampler.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { addMachineOptions, type MachineFlags, withModel } from './model.ts';
import { jsonOption, share, temperature, wholeNumber } from './options.ts';
import type { Program } from './program.ts';
import { print } from './run.ts';

interface GenerateFlags extends MachineFlags, Sampling {
  prompt?: string;
  message?: string;
  system?: string;
  maxNewTokens: number;
  greedy: boolean;
  seed: number;
  json: boolean;
}

export function addGenerateCommand(parent: Command, { action }: Program): void {
  const command = parent
    .command('generate')
    .summary('let a model continue a text or answer a message')
    .description('Let a model continue a text (--prompt) or answer a message in its chat template (--message).')
    .argument('<model>', 'Hugging Face directory, or the folder of a finished run')
    .option('--prompt <text>', 'text to continue')
    .option('--message <text>', 'message to answer')
    .option('--system <text>', 'system message before --message')
    .option('--max-new-tokens <number>', 'tokens to generate, at most', wholeNumber(1), 128)
    .option('--greedy', 'always the likeliest token', false)
    .option('--temperature <number>', 'below 1 bolder, above 1 more varied', temperature, 0.8)
    .option('--top-k <number>', 'draw from the k likeliest tokens; 0 = from all', wholeNumber(0), 0)
    .option('--top-p <share>', 'draw from the likeliest tokens of this total probability', share, 0.95)
    .option('--seed <number>', 'seed of the draws', wholeNumber(0), 1);
  addMachineOptions(command)
    .addOption(jsonOption())
    .action(action((model: string, flags: GenerateFlags) => run(model, flags)));
}

async function run(path: string, flags: GenerateFlags): Promise<number> {
  const answer = await withModel(path, flags, async (model, tokenizer) => {
    const prompt = promptOf(flags, tokenizer);
    checkTokenIds([{ tokens: prompt, trained: new Uint8Array(prompt.length) }], tokenizer, model.config.vocabSize);
    const { maxNewTokens, temperature, topK, topP, seed } = flags;
    const sampling = flags.greedy ? greedy : { temperature, topK, topP };
    const [result] = await generate(model, [prompt], { maxNewTokens, stopIds: stopIdsOf(tokenizer), sampling, seed });
    const { tokens } = result!;
    return { text: tokenizer.decode(tokens, { skipSpecialTokens: true }), tokens: Array.from(tokens) };
  });
  print(flags.json ? answer : answer.text, flags.json);
  return 0;
}

/** Ids of the prompt: a text as it is (behind a beginning-of-sequence token where the tokenizer wants one), or a conversation. */
function promptOf({ prompt, message, system }: GenerateFlags, tokenizer: Tokenizer): Int32Array {
  if ((prompt === undefined) === (message === undefined)) {
    throw new RequestError({ message: 'give either --prompt or --message', hint: '--prompt "Once upon a time"' });
  }
  if (message !== undefined) {
    const messages: Message[] = [{ role: 'user', content: message }];
    if (system !== undefined) messages.unshift({ role: 'system', content: system });
    return encodePrompt(messages, tokenizer);
  }
  const ids = tokenizer.encode(prompt ?? '');
  const withBos = tokenizer.addsBos && tokenizer.bosId !== undefined ? Int32Array.of(tokenizer.bosId, ...ids) : ids;
  if (withBos.length === 0) throw new RequestError({ where: '--prompt', message: 'is empty' });
  return withBos;
}
