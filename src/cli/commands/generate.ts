import { Option } from 'commander';
import { describeGivenTemplate } from '../../data/conversation-tokenizer.ts';
import type { Message } from '../../data/rows.ts';
import { RequestError } from '../../errors.ts';
import { describeSampling, modelSampling } from '../../generation/model-sampling.ts';
import type { Sampling } from '../../generation/sampler.ts';
import { type GeneratedText, streamText, type TextPrompt } from '../../generation/text.ts';
import type { AddCommand } from '../command.ts';
import { addMachineOptions, type MachineFlags, modelDirectory, withModel } from '../model.ts';
import { fraction, jsonOption, positive, share, temperature, wholeNumber } from '../options.ts';
import { print, printPart, printText, tell } from '../output.ts';

interface GenerateFlags extends MachineFlags, Partial<Sampling> {
  prompt?: string;
  message?: string;
  system?: string;
  maxNewTokens: number;
  greedy: boolean;
  seed: number;
  json: boolean;
}

/** Defaults for models that do not specify how to sample. */
const usual: Sampling = { repetitionPenalty: 1, temperature: 0.8, topK: 0, topP: 0.95, minP: 0 };

export const addGenerateCommand: AddCommand = (parent, { action }) => {
  const command = parent
    .command('generate')
    .summary('continue a text or answer a message')
    .description(
      "Continue a text (--prompt), or answer a message in the model's chat template (--message). Sampling options " +
        `come from flags, else from the model's generation_config.json, else they are ${describeSampling(usual)}.`,
    )
    .argument('<model>', 'Hugging Face directory, or the folder of a finished run')
    .option('--prompt <text>', 'text to continue')
    .option('--message <text>', 'message to answer')
    .addOption(new Option('--system <text>', 'system message before --message').conflicts('prompt'))
    .option('--max-new-tokens <number>', 'maximum number of tokens to generate', wholeNumber(1), 128)
    .addOption(
      new Option('--greedy', 'always choose the most likely token')
        .default(false)
        .conflicts(['temperature', 'topK', 'topP', 'minP', 'seed']),
    )
    .option('--temperature <number>', 'below 1: more predictable, above 1: more varied', temperature)
    .option('--top-k <number>', 'sample from the k most likely tokens; 0 = from all', wholeNumber(0))
    .option('--top-p <share>', 'sample from the most likely tokens with this total probability', share)
    .option(
      '--min-p <share>',
      'sample from tokens at least this likely relative to the most likely one; 0 = from all',
      fraction,
    )
    .option(
      '--repetition-penalty <number>',
      'divide the logits of tokens that already occurred (multiply negative ones); 1 = off',
      positive,
    )
    .option('--seed <number>', 'seed of the sampling', wholeNumber(0), 1);
  addMachineOptions(command)
    .addOption(jsonOption())
    .action(action((model: string, flags: GenerateFlags) => run(model, flags)));
};

async function run(path: string, flags: GenerateFlags): Promise<number> {
  const directory = modelDirectory(path);
  const prompt = promptOf(flags);
  const isLive = process.stdout.isTTY && !flags.json;
  const { text, tokens } = await withModel(directory, flags, async (model, tokenizer) => {
    const { maxNewTokens, seed } = flags;
    const template = typeof prompt === 'string' ? undefined : describeGivenTemplate(tokenizer);
    if (template !== undefined) tell(template);
    const sampling = samplingOf(flags, modelSampling(tokenizer.generationConfig));
    return watched(streamText(model, tokenizer, prompt, { maxNewTokens, sampling, seed }), isLive);
  });
  if (flags.json) print({ text, tokens }, true);
  else if (!isLive) printText(text);
  return 0;
}

/** Reads a text to its end and, in a terminal, prints the pieces as they come. */
async function watched(
  pieces: AsyncGenerator<string, GeneratedText, undefined>,
  isLive: boolean,
): Promise<GeneratedText> {
  try {
    for (;;) {
      const { done, value } = await pieces.next();
      if (done) return value;
      if (isLive) printPart(value);
    }
  } finally {
    if (isLive) printPart('\n');
  }
}

/** Sampling options from the flags, else from the model, else the defaults. */
function samplingOf(flags: GenerateFlags, ofModel: Sampling | undefined): Sampling {
  const base = ofModel ?? usual;
  const sampling = {
    repetitionPenalty: flags.repetitionPenalty ?? base.repetitionPenalty,
    temperature: flags.greedy ? 0 : (flags.temperature ?? base.temperature),
    topK: flags.topK ?? base.topK,
    topP: flags.topP ?? base.topP,
    minP: flags.minP ?? base.minP,
  };
  const source = ofModel ? "by flags and the model's generation_config.json" : 'by flags and defaults';
  tell(`sampling ${source}: ${describeSampling(sampling)}`);
  return sampling;
}

function promptOf({ prompt, message, system }: GenerateFlags): TextPrompt {
  if ((prompt === undefined) === (message === undefined)) {
    throw new RequestError({ message: 'give either --prompt or --message', hint: '--prompt "Once upon a time"' });
  }
  if (message === undefined) return prompt ?? '';
  const question: Message = { role: 'user', content: message };
  return system === undefined ? [question] : [{ role: 'system', content: system }, question];
}
