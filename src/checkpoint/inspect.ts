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

/** What a file of weights holds. */
export interface FileInspection {
  parameters: number;
  metadata: Record<string, string>;
  tensors: TensorSummary[];
}

/** What a model directory holds, checked as a whole. */
export interface ModelInspection extends FileInspection {
  architecture: string | undefined;
  modelType: string;
  /** Its name, and its settings such as `postLayers`. */
  placement: { norm: string; [setting: string]: string | number };
  config: ModelConfig;
  /** What the files do not say and was inferred, and what they say and nothing reads. */
  notes: readonly string[];
}

export async function inspectFile(path: string): Promise<FileInspection> {
  const store = await (/\.(bin|pt|pth)$/.test(path) ? openTorchFile(path) : openSafetensors(path));
  const parameters = [...store.tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
  return { parameters, ...contentOf(store) };
}

/** @throws RequestError listing everything that is wrong with the directory */
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
