import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readModelDirectory } from '../../src/checkpoint/model-directory.ts';
import { writeSafetensors } from '../../src/checkpoint/safetensors-writer.ts';
import { headOf, hiddenStates, type Model } from '../../src/model/model.ts';
import { writtenPlacement } from '../../src/model/norm.ts';
import { checkpointTensors } from '../../src/model/parameters.ts';
import { exportStage } from '../../src/stages/export.ts';
import { pause, type Stage, type StageRun } from '../../src/stages/stage.ts';
import { linear } from '../../src/tensor/fused/linear.ts';
import { scope } from '../../src/tensor/scope.ts';
import type { TrainingState } from '../../src/training/state.ts';

export interface Trained {
  losses: number[];
  /** Directory of the state. */
  saved: string;
  /** Directory of the model. */
  final: string;
}

/** Trains up to update `stopAt`, from the start or a saved state, and saves there. */
export async function trained<Config, State extends TrainingState, Result extends Record<string, unknown>>(
  stage: Stage<Config, State, Result>,
  config: Config,
  run: StageRun,
  stopAt: number,
  from?: string,
): Promise<Trained> {
  const state = await stage.open(config, run, from);
  const losses: number[] = [];
  for await (const record of stage.run(config, state, run)) {
    if (record === pause) continue;
    losses.push(record.loss!);
    if (record.step === stopAt) break;
  }
  const saved = join(run.directory, `state-${stopAt}-${from === undefined ? 'whole' : 'resumed'}`);
  await mkdir(saved);
  await stage.save!(state, saved);
  const final = `${saved}-final`;
  await mkdir(final);
  await stage.finish(config, state, final);
  stage.close?.(state);
  return { losses, saved, final };
}

/** Writes a model in bf16, and returns its directory. */
export async function exported(model: string, run: StageRun): Promise<string> {
  const config = exportStage.schema.parse({ from: model, dtype: 'bf16' });
  const exporting = { ...run, inputs: { from: [{ name: 'model', directory: model }] } };
  const state = await exportStage.open(config, exporting, undefined);
  for await (const _ of exportStage.run(config, state, exporting));
  const out = join(run.directory, 'exported');
  await mkdir(out);
  await exportStage.finish(config, state, out);
  return out;
}

/** A copy of a model in which nothing but the names of its tensors tells the placement. */
export async function withoutPlacement(model: string, copy: string): Promise<string> {
  const { config, read } = await readModelDirectory(model);
  await mkdir(copy);
  const json = JSON.parse(await readFile(join(model, 'config.json'), 'utf8'));
  const stated = Object.keys(writtenPlacement(config)).map((key) => [key, undefined]);
  await writeFile(join(copy, 'config.json'), JSON.stringify({ ...json, ...Object.fromEntries(stated) }));
  const specs = checkpointTensors(config).map(({ name, shape }) => ({ name, shape, dtype: 'F32' as const }));
  await writeSafetensors(join(copy, 'model.safetensors'), specs, (name) => read(name));
  return copy;
}

/** Logits of what follows the last token, computed without a cache. */
export async function lastLogits(model: Model, ids: readonly number[]): Promise<number[]> {
  const tokens = Int32Array.from(ids);
  const input = { tokens, positions: Int32Array.from(tokens.keys()), segments: Int32Array.of(0, tokens.length) };
  const logits = scope(() => linear(hiddenStates(model, input), headOf(model)), { adopt: false });
  const all = await model.backend.read(logits);
  logits.release();
  return [...all.slice(-model.config.vocabSize)];
}
