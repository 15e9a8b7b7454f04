import type { Command } from 'commander';
import type { Message } from '../data/rows.ts';
import { RequestError } from '../errors.ts';
import type { Sampling } from '../generation/sampler.ts';
import { generateText, type TextPrompt } from '../generation/text.ts';
import { addMachineOptions, type MachineFlags, modelDirectory, withModel } from './model.ts';
import { fraction, jsonOption, positive, share, temperature, wholeNumber } from './options.ts';
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
    .option(
      '--min-p <share>',
      'draw from tokens at least this likely relative to the likeliest; 0 = from all',
      fraction,
      0,
    )
    .option('--repetition-penalty <number>', 'divides positive logits of tokens in the text; 1 = off', positive, 1)
    .option('--seed <number>', 'seed of the draws', wholeNumber(0), 1);
  addMachineOptions(command)
    .addOption(jsonOption())
    .action(action((model: string, flags: GenerateFlags) => run(model, flags)));
}

async function run(path: string, flags: GenerateFlags): Promise<number> {
  const directory = modelDirectory(path);
  const prompt = promptOf(flags);
  const answer = await withModel(directory, flags, async (model, tokenizer) => {
    const { maxNewTokens, repetitionPenalty, topK, topP, minP, seed } = flags;
    const temperature = flags.greedy ? 0 : flags.temperature;
    const sampling = { repetitionPenalty, temperature, topK, topP, minP };
    const [generated] = await generateText(model, tokenizer, [prompt], { maxNewTokens, sampling, seed });
    const { text, tokens } = generated!;
    return { text, tokens };
  });
  print(flags.json ? answer : answer.text, flags.json);
  return 0;
}

function promptOf({ prompt, message, system }: GenerateFlags): TextPrompt {
  if ((prompt === undefined) === (message === undefined)) {
    throw new RequestError({ message: 'give either --prompt or --message', hint: '--prompt "Once upon a time"' });
  }
  if (message === undefined) return prompt ?? '';
  const question: Message = { role: 'user', content: message };
  return system === undefined ? [question] : [{ role: 'system', content: system }, question];
}
