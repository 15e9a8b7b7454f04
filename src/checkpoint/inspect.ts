import type { ModelConfig } from '../model/config.ts';
import { parameterCount } from '../model/parameters.ts';
import { readModelDirectory } from './model-directory.ts';
import { openSafetensors } from './safetensors-reader.ts';
import { openWeights } from './sharded.ts';
import { elementCount, type TensorStore } from './tensor-store.ts';
import { openTorchFile } from './torch/torch-file.ts';

export interface TensorSummary {
  name: string;
  dtype: string;
  shape: readonly number[];
}

/** The content of a file of weights. */
export interface FileInspection {
  parameters: number;
  metadata: Record<string, string>;
  tensors: TensorSummary[];
}

/** The content of a model directory, checked completely. */
export interface ModelInspection extends FileInspection {
  architecture: string | undefined;
  modelType: string;
  /** Its name, and its settings such as `postLayers`. */
  placement: { norm: string; [setting: string]: string | number };
  config: ModelConfig;
  /** What was inferred because the files do not state it, and what the files state but nothing reads. */
  notes: readonly string[];
}

export async function inspectFile(path: string): Promise<FileInspection> {
  const store = await (/\.(bin|pt|pth)$/.test(path) ? openTorchFile(path) : openSafetensors(path));
  const parameters = [...store.tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
  return { parameters, ...contentOf(store) };
}

/** Reads and checks a model directory. @throws RequestError listing everything wrong with it */
export async function inspectModel(directory: string): Promise<ModelInspection> {
  const { config, extra, notes } = await readModelDirectory(directory);
  return {
    architecture: extra.architecture,
    modelType: extra.modelType,
    placement: { norm: config.norm.name, ...config.norm.settings },
    parameters: parameterCount(config),
    config,
    notes,
    ...contentOf(await openWeights(directory)),
  };
}

function contentOf({ tensors, metadata }: TensorStore): Pick<FileInspection, 'metadata' | 'tensors'> {
  return {
    metadata: Object.fromEntries(metadata),
    tensors: [...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape })),
  };
}
