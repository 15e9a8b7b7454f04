import { z } from 'zod';
import { depthRecord } from '../analysis/depth-record.ts';
import { gradientNormsOf } from '../analysis/gradients.ts';
import { saveModel } from '../checkpoint/load-model.ts';
import { oneOf } from '../config/conditions.ts';
import { withPresets } from '../config/presets.ts';
import { asCount } from '../config/scaling.ts';
import type { Sequence } from '../data/batch.ts';
import { openSplits } from '../data/dataset.ts';
import { encodeText } from '../data/encode.ts';
import { RequestError } from '../errors.ts';
import type { Metrics } from '../evaluation/metrics.ts';
import { continuations } from '../evaluation/samples.ts';
import type { ModelConfig } from '../model/config.ts';
import { llamaFamily } from '../model/families/llama.ts';
import { flopsPerToken } from '../model/flops.ts';
import { addingProjections, defaultInitialisation, initialiseModel } from '../model/initialise.ts';
import type { Model } from '../model/model.ts';
import { normalisesHeads, withPlacement } from '../model/norm.ts';
import { normKinds } from '../model/norm-kinds/index.ts';
import { parameterCount } from '../model/parameters.ts';
import { placements } from '../model/placements/index.ts';
import { presetConfig, presetNames, presetSizes } from '../model/presets.ts';
import { SettingProblem } from '../model/setting-problem.ts';
import { sizeKeys, withSizes } from '../model/sizes.ts';
import { loadTokenizer } from '../tokenizer/open.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { spend } from '../training/budget.ts';
import { languageModelLoss, meanLoss, nextMicroBatches } from '../training/language-model.ts';
import { requireTrainingMemory, trainingMemory } from '../training/memory.ts';
import { update } from '../training/optimizer.ts';
import { totalStepsOf, trainingOptions } from '../training/options.ts';
import { pretrainPresets } from '../training/pretrain-presets.ts';
import { unigramEntropy } from '../training/stability.ts';
import {
  loadTrainingState,
  newTrainingState,
  releaseTrainingState,
  saveTrainingState,
  type TrainingState,
} from '../training/state.ts';
import type { Stage, StageRun, StepRecord } from './stage.ts';

/**
 * The keys of every placement, each with an effect under those that have it. They are read by name, so no type needs
 * them.
 */
function placementKeys(): object {
  const schemas = Object.assign({}, ...placements.map(({ keys }) => keys)) as Record<string, z.ZodType>;
  const conditional = Object.entries(schemas).map(([key, schema]) => {
    const having = placements.filter(({ keys }) => key in keys).map(({ name }) => name);
    return [key, schema.meta({ condition: oneOf('norm', ...having) })];
  });
  return Object.fromEntries(conditional);
}

const keys = z.strictObject({
  model: z.enum(presetNames).default('9m').describe("size preset; the vocabulary is the tokenizer's"),
  ...sizeKeys,
  norm: z
    .enum(placements.map(({ name }) => name))
    .default('pre')
    .describe('norm placement'),
  ...placementKeys(),
  initStd: z.number().positive().optional().describe('standard deviation of initial linear layers (0.02)'),
  embeddingStd: z
    .number()
    .positive()
    .optional()
    .describe('standard deviation of the initial embedding (√0.4; with `tieWordEmbeddings` 0.02)'),
  qkNorm: z.boolean().optional().describe('normalise the queries and keys of each head, as Qwen3 does'),
  normKind: z
    .enum(normKinds.map(({ name }) => name))
    .optional()
    .describe(`what each norm computes: ${normKinds.map(({ name, title }) => `${name} (${title})`).join(' or ')}`),
  scaledInit: z
    .boolean()
    .optional()
    .describe('divide the initial output projections of Pre-LN layers by √(2 · layers)'),
  tieWordEmbeddings: z.boolean().default(false).describe('use the embedding matrix as the output head'),
  tokenizer: z.string().describe('tokenizer: a stage or a directory'),
  data: z.string().describe('text to train on'),
  holdOut: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe('share of each text, taken from its end, to hold out from training'),
  length: z.int().min(2).default(256).describe('tokens per training window'),
  ...trainingOptions({ epochs: 1, batchSize: 16, lr: 1e-3, warmup: 0.1, weightDecay: 0.1 }),
  steps: z
    .int()
    .nonnegative()
    .optional()
    .describe('optimizer steps, an alternative to epochs; 0: the model as it is initialised')
    .meta({ scaling: asCount }),
  recordGradients: z
    .int()
    .positive()
    .optional()
    .describe("record the norm of each layer's gradient at the first step and after every so many")
    .meta({ changesResult: false, scaling: asCount }),
});

export const pretrainSchema = withPresets(keys.shape, pretrainPresets).superRefine((written, context) => {
  try {
    const architecture = architectureOf(written);
    if (written.scaledInit && addingProjections(architecture).length === 0) {
      const message = `there is nothing to scale: every sub-layer of norm ${written.norm} has a norm after it`;
      context.addIssue({ code: 'custom', path: ['scaledInit'], message });
    }
  } catch (error) {
    // What is wrong with a key by itself is told by its own schema.
    if (error instanceof z.ZodError) return;
    if (!(error instanceof SettingProblem)) throw error;
    const { key, message, hint } = error;
    context.addIssue({ code: 'custom', path: [key], message, params: { hint } });
  }
});

export type PretrainConfig = z.infer<typeof pretrainSchema>;

export interface PretrainState extends TrainingState {
  /** Training windows, each the pieces of documents that fill it. */
  windows: readonly (readonly Sequence[])[];
  heldOut: readonly (readonly Sequence[])[];
}

/** Pre-training: next-token cross-entropy over packed windows; no attention from one document to another. */
export async function* pretrain(
  config: PretrainConfig,
  state: PretrainState,
): AsyncGenerator<StepRecord, { steps: number; parameters: number; windows: number }> {
  const { optimizer, cursor, windows } = state;
  const totalSteps = totalStepsOf(config, windows.length);

  while (optimizer.step < totalSteps) {
    const microBatches = nextMicroBatches(cursor, windows, config).map((batch) => batch.flat());
    const { loss, tokens } = await languageModelLoss(optimizer, microBatches);
    const { learningRate, gradientNorm } = await update(optimizer, config, totalSteps);
    spend(state, microBatches.flat());
    const norms = isRecorded(optimizer.step, config) ? depthRecord(await gradientNormsOf(optimizer)) : {};
    yield { step: optimizer.step, totalSteps, loss, learningRate, gradientNorm, tokens, ...norms };
  }
  return { steps: optimizer.step, parameters: parameterCount(optimizer.model.config), windows: windows.length };
}

const isRecorded = (step: number, { recordGradients }: PretrainConfig): boolean =>
  recordGradients !== undefined && (step === 1 || step % recordGradients === 0);

export const pretrainStage: Stage<PretrainConfig, PretrainState> = {
  name: 'pretrain',
  summary: 'train a language model from scratch on text',
  schema: pretrainSchema,
  presets: { preset: pretrainPresets, model: presetSizes },
  isRandom: true,
  readsOnOpen: true,
  inputs: { tokenizer: { kind: 'tokenizer' } },
  result: 'model',
  datasets: { data: { use: 'text' } },
  async open(config, run, from) {
    const tokenizer = await loadTokenizer(run.inputs.tokenizer![0]!.directory);
    const modelConfig = modelConfigOf(config, tokenizer);
    requireTrainingMemory(modelConfig, run.backend.limits);
    const rows = await openSplits(config.data, 'text', { ...run, holdOut: config.holdOut });
    const windows = encodeText(rows.train, tokenizer, config);
    if (windows.length === 0) {
      const message = `there is nothing to predict: none of ${rows.train.length} texts has two tokens`;
      throw new RequestError({ where: config.data, message });
    }
    const heldOut = encodeText(rows.heldOut, tokenizer, config);
    const data = { rows: windows.length, seed: run.seed, recompute: config.recompute, ranks: run.ranks };
    const training = from
      ? await loadTrainingState(from, run.backend, data, tokenizer)
      : newTrainingState(await freshModel(config, modelConfig, run), data, tokenizer);
    return { ...training, windows, heldOut };
  },
  outlook(config, { optimizer, windows }) {
    const tokens = config.batchSize * config.length;
    const memory = trainingMemory(optimizer.model, { ...config, tokens });
    return { steps: totalStepsOf(config, windows.length), ...memory, unigramEntropy: unigramEntropy(windows.flat()) };
  },
  work({ steps, ...config }, { tokenizer }) {
    if (steps === undefined) return undefined;
    const { vocabSize = presetConfig(config.model).vocabSize } = tokenizer?.[0] ?? {};
    const tokens = steps * config.batchSize * config.accumulate * config.length;
    const model = modelConfigOf(config, { vocabSize: Number(vocabSize) });
    return { tokens, flops: tokens * flopsPerToken(model, config.length) };
  },
  run: pretrain,
  budget: ({ budget }) => budget,
  save: saveTrainingState,
  finish: (_config, { optimizer, tokenizer }, directory) => saveModel(directory, optimizer.model, { tokenizer }),
  async evaluate({ evalRows }, { optimizer, heldOut }): Promise<Metrics> {
    if (heldOut.length === 0) return {};
    const { loss } = await meanLoss(optimizer.model, heldOut.slice(0, evalRows).flat());
    return { loss, perplexity: Math.exp(loss) };
  },
  heldOut: () => ['loss', 'perplexity'],
  sample: (_config, { optimizer, tokenizer, heldOut }) => continuations(optimizer.model, tokenizer, heldOut.flat()),
  close: releaseTrainingState,
};

/** What the keys say of the architecture, without the vocabulary. @throws SettingProblem */
function architectureOf(written: Omit<z.infer<typeof keys>, 'steps'>): ModelConfig {
  const { model, norm, normKind, qkNorm = false, ...values } = written;
  const placed = withPlacement(withSizes(presetConfig(model), values), norm, values);
  if (qkNorm && normalisesHeads(placed)) {
    throw new SettingProblem('qkNorm', `norm ${norm} normalises queries and keys by itself`, 'leave qkNorm out');
  }
  const kind = normKind === undefined || normKind === normKinds[0].name ? {} : { normKind };
  return { ...placed, ...kind, family: llamaFamily(qkNorm) };
}

function modelConfigOf(
  config: Omit<PretrainConfig, 'steps'>,
  { vocabSize }: Pick<Tokenizer, 'vocabSize'>,
): ModelConfig {
  const { tieWordEmbeddings, length } = config;
  const architecture = architectureOf(config);
  return { ...architecture, vocabSize, tieWordEmbeddings, maxLength: Math.max(architecture.maxLength, length) };
}

function freshModel(
  { initStd, embeddingStd, scaledInit }: PretrainConfig,
  config: ModelConfig,
  { backend, seed }: StageRun,
): Promise<Model> {
  const usual = defaultInitialisation(config);
  const stds = { std: initStd ?? usual.std, embeddingStd: embeddingStd ?? usual.embeddingStd };
  return initialiseModel(config, backend, seed, { ...stds, scaled: scaledInit });
}
