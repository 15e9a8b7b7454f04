/** The public API; the command line is built on the same functions. */
export { analyze, type DepthAnalysis } from './analysis/analyze.ts';
export { type LoadedModel, loadModel, saveModel } from './checkpoint/load-model.ts';
export { type ModelDirectory, readModelDirectory, writeModelDirectory } from './checkpoint/model-directory.ts';
export { loadRewardModel, type RewardModel } from './checkpoint/reward-model.ts';
export { openDataset } from './data/dataset.ts';
export type { ChoiceRow, Dataset, Message, MessagesRow, PreferenceRow, PromptRow, TextRow, Use } from './data/rows.ts';
export { type Problem, RequestError, RunError } from './errors.ts';
export type { Metrics } from './evaluation/metrics.ts';
export { perplexity } from './evaluation/perplexity.ts';
export { parseTasks, runTasks } from './evaluation/tasks.ts';
export { type GenerateOptions, type Generation, generate } from './generation/generate.ts';
export type { GeneratedToken, GenerationRequest } from './generation/request.ts';
export type { Sampling } from './generation/sampler.ts';
export { openSession, type Session, type SessionOptions } from './generation/session.ts';
export { type GeneratedText, generateText, streamText, type TextPrompt } from './generation/text.ts';
export type { TokenStream } from './generation/token-stream.ts';
export type { ModelConfig, NormChoice } from './model/config.ts';
export { initialiseModel } from './model/initialise.ts';
export { hiddenStates, type Model, releaseModel } from './model/model.ts';
export { withPlacement } from './model/norm.ts';
export { parameterCount } from './model/parameters.ts';
export { presetConfig, presetNames } from './model/presets.ts';
export { writeReport } from './report/write-report.ts';
export type { Sample } from './runs/results.ts';
export { dpo, dpoStage } from './stages/dpo.ts';
export { type DpoConfig, dpoSchema } from './stages/dpo-schema.ts';
export { evaluate, evaluateSchema, evaluateStage } from './stages/evaluate.ts';
export { type GrpoConfig, grpo, grpoSchema, grpoStage } from './stages/grpo.ts';
export { stages } from './stages/index.ts';
export { ppo, ppoStage } from './stages/ppo.ts';
export { type PpoConfig, ppoSchema } from './stages/ppo-schema.ts';
export { type PretrainConfig, pretrain, pretrainSchema, pretrainStage } from './stages/pretrain.ts';
export { type RewardConfig, reward, rewardSchema, rewardStage } from './stages/reward.ts';
export { type RlooConfig, rloo, rlooSchema, rlooStage } from './stages/rloo.ts';
export { type SftConfig, sft, sftSchema, sftStage } from './stages/sft.ts';
export {
  pause,
  type Stage,
  type StageInput,
  type StageRun,
  type StepRecord,
} from './stages/stage.ts';
export { type TokenizerConfig, tokenizerStage } from './stages/tokenizer.ts';
export type { Backend } from './tensor/backends/backend.ts';
export { type BackendChoice, type BackendRequest, openBackend } from './tensor/backends/open.ts';
export { loadTokenizer } from './tokenizer/open.ts';
export type { Encoding, Tokenizer } from './tokenizer/tokenizer.ts';
export { trainTokenizer } from './tokenizer/train.ts';
export { rewardScores } from './training/reward.ts';
