import { z } from 'zod';

const template = z.string();

const choiceMetrics = ['accuracy', 'accuracyBySum', 'accuracyByBytes'] as const;
export type ChoiceMetric = (typeof choiceMetrics)[number];

const metrics = z
  .tuple([z.enum(choiceMetrics)], z.enum(choiceMetrics))
  .describe('the first one is what models are compared by');

const choices = z
  .union([template, z.array(template).min(2)])
  .describe('a list of templates, or one template that gives a list');

const fewShot = z.strictObject({
  count: z.int().positive().describe('examples before each question'),
  examples: z.string().min(1).optional().describe('dataset of the examples; the questions themselves if left out'),
  sampler: z.enum(['random', 'first']).default('random').describe('drawn anew for each question, or the first ones'),
  seed: z.int().min(0).max(0xffffffff).default(1234).describe('of the sampler random'),
  separator: z.string().default('\n\n').describe('after each example'),
});

const rewriting = z.strictObject({
  pattern: z.string().min(1).describe('regular expression, in JavaScript'),
  by: z.string().default('').describe('what each match is replaced by'),
});

const common = {
  description: z.string().optional().describe('what is asked, and where the rows come from'),
  data: z.string().min(1).optional().describe('dataset that is asked, unless the command names one'),
  rewrite: z.array(rewriting).default([]).describe('replacements in each text that the templates give, in this order'),
};

const asking = {
  ...common,
  preamble: z.string().default('').describe('text before everything else'),
  delimiter: z.string().default(' ').describe('between a prompt and its answer'),
  fewShot: fewShot.optional().describe('solved examples before each question'),
};

const answer = z
  .union([z.int(), z.string()])
  .describe('index of the right choice, from 0, or its text: a number, or a template that gives one of them');

/** What a task file of each kind holds: how the rows of a dataset are asked, and what is measured. */
export const taskSchemas = {
  choice: z.strictObject({
    kind: z.literal('choice').describe('which choice is likeliest after the prompt'),
    ...asking,
    prompt: template.describe('what stands before the choices; empty where whole sentences are compared'),
    choices,
    answer,
    metrics: metrics.default(['accuracy', 'accuracyBySum']),
  }),
  partial: z.strictObject({
    kind: z.literal('partial').describe('after which choice the same ending is likeliest'),
    ...asking,
    choices,
    ending: template.describe('what is scored after each choice'),
    answer,
    metrics: metrics.default(['accuracyBySum']),
  }),
  continuation: z.strictObject({
    kind: z.literal('continuation').describe('how likely the answer is, and whether greedy decoding gives it'),
    ...asking,
    prompt: template.describe('what stands before the answer'),
    answer: template.describe('what is scored'),
  }),
  generate: z.strictObject({
    kind: z.literal('generate').describe('what greedy decoding writes'),
    ...asking,
    prompt: template.describe('what stands before the answer'),
    answer: template.describe('the right answer'),
    match: z.enum(['exact', 'number', 'regex']).default('exact').describe('when an answer is right'),
    metrics: z
      .array(z.enum(['exactMatch', 'rouge1', 'rouge2', 'rougeL']))
      .min(1)
      .default(['exactMatch'])
      .describe('the first one is what models are compared by'),
    stop: z.array(z.string().min(1)).default(['\n']).describe('texts before which an answer ends'),
    maxNewTokens: z.int().positive().default(64).describe('most tokens of an answer'),
  }),
  perplexity: z.strictObject({
    kind: z.literal('perplexity').describe('how likely whole texts are'),
    ...common,
    text: template.default('{{ text }}').describe('the text'),
  }),
};

export type TaskFileKind = keyof typeof taskSchemas;
export type TaskOf<K extends TaskFileKind> = z.infer<(typeof taskSchemas)[K]>;
export type TaskFile = { [K in TaskFileKind]: TaskOf<K> }[TaskFileKind];
