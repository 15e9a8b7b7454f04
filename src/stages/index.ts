import { analyzeStage } from './analyze.ts';
import { compareStage } from './compare.ts';
import { dpoStage } from './dpo.ts';
import { evaluateStage } from './evaluate.ts';
import { exportStage } from './export.ts';
import { grpoStage } from './grpo.ts';
import { ppoStage } from './ppo.ts';
import { pretrainStage } from './pretrain.ts';
import { rewardStage } from './reward.ts';
import { rlooStage } from './rloo.ts';
import { sftStage } from './sft.ts';
import type { Stage } from './stage.ts';
import { tokenizerStage } from './tokenizer.ts';

/** All stages, in their usual order in a pipeline. A new stage takes one file and one line here. */
export const stages: readonly Stage[] = [
  tokenizerStage,
  pretrainStage,
  sftStage,
  rewardStage,
  dpoStage,
  ppoStage,
  rlooStage,
  grpoStage,
  evaluateStage,
  compareStage,
  analyzeStage,
  exportStage,
];
