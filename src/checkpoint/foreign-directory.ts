import { closeSync, constants, existsSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import type { Problem } from '../errors.ts';
import { foreignFormat, ggufHint, pickleHint, signatureBytes } from './file-formats.ts';

/** How to recognise a folder that contains a model in another form, by the names of its files. */
interface Layout {
  /** Matches the name of a file or folder that indicates this form. */
  shows: RegExp;
  says(name: string): string;
  hint(name: string, directory: string): string;
}

const safetensorsHint = 'take the version of the model in safetensors';

const unfinished: Layout = {
  shows: /\.(incomplete|aria2|crdownload|part)$/,
  says: (name) => `holds an unfinished download (${name})`,
  hint: () => 'run the download again until it ends',
};

/** Weights in other forms, in the order in which they are checked. */
const layouts: readonly Layout[] = [
  {
    shows: /\.gguf$/i,
    says: (name) => `holds a GGUF model (${name}), of llama.cpp, which is not read`,
    hint: ggufHint,
  },
  {
    shows: /^pytorch_model-\d+-of-\d+\.bin$/,
    says: (name) => `holds ${name} without pytorch_model.bin.index.json, which says what is in which file`,
    hint: () => 'download or copy the index too',
  },
  {
    shows: /^consolidated.*\.(pth|safetensors)$|^params\.json$/,
    says: (name) =>
      `holds a model with the tensor names of its makers' own code (${name}), not in the layout of transformers`,
    hint: () =>
      "take the model in the layout of transformers (its repository has it beside or above this folder), or convert it with transformers' convert_llama_weights_to_hf.py",
  },
  {
    shows: /^zero_to_fp32\.py$/,
    says: () => 'holds a checkpoint of DeepSpeed, whose weights are split into parts',
    hint: () => 'join them: python zero_to_fp32.py . joined --safe_serialization in that folder',
  },
  {
    shows: /\.distcp$|^pytorch_model_fsdp/,
    says: (name) => `holds a distributed checkpoint of PyTorch (${name}), whose weights are split into parts`,
    hint: (_, directory) => `join them: accelerate merge-weights ${directory} joined`,
  },
  {
    shows: /\.(pt|pth|ckpt)$/,
    says: (name) => `holds pickled weights (${name}), which are not read`,
    hint: (name) => `${pickleHint(name)}, after extracting the weights if the file holds more than them`,
  },
  { shows: /\.onnx$/, says: (name) => `holds an ONNX model (${name}), which is not read`, hint: () => safetensorsHint },
  {
    shows: /^tf_model.*\.h5$|^saved_model\.pb$|\.index$/,
    says: (name) => `holds a TensorFlow model (${name}), which is not read`,
    hint: () => safetensorsHint,
  },
  {
    shows: /^flax_model.*\.msgpack/,
    says: (name) => `holds a Flax model (${name}), which is not read`,
    hint: () => safetensorsHint,
  },
  {
    shows: /\.(npz|nemo|ot|mlmodel)$/,
    says: (name) => `holds a model in another form (${name}), which is not read`,
    hint: () => safetensorsHint,
  },
];

/** Folders of other kinds of models, recognised by one of their files; reported only if there is no config.json. */
const otherModels: readonly Layout[] = [
  {
    shows: /^model_index\.json$/,
    says: () => 'is a pipeline of diffusers, which makes images',
    hint: () => 'a language model is needed',
  },
  {
    shows: /^modules\.json$|^config_sentence_transformers\.json$/,
    says: () => 'is a model of sentence-transformers, which makes embeddings',
    hint: () => 'a language model is needed',
  },
];

/**
 * The problem with a folder that was given as a model but lacks config.json or weights: what it contains instead, or
 * where there is a model near it.
 */
export function foreignDirectory(directory: string): Problem {
  const names = entries(directory);
  const hasConfig = names.includes('config.json');
  const weights = names.filter((name) => name.endsWith('.safetensors') || name === 'pytorch_model.bin');
  const found = (kinds: readonly Layout[]): Problem | undefined => {
    for (const { shows, says, hint } of kinds) {
      const name = names.find((candidate) => shows.test(candidate));
      if (name !== undefined) return { message: says(name), hint: hint(name, directory) };
    }
    return undefined;
  };
  const adapter = adapterProblem(directory, names);
  if (adapter) return adapter;
  if (hasConfig) return found([unfinished]) ?? misnamedWeights(weights) ?? found(layouts) ?? noWeights(directory);
  const near = modelsNear(directory);
  const elsewhere = near.length > 0 ? { message: `holds no config.json`, hint: nearHint(near) } : undefined;
  const noConfig = { message: 'holds weights but no config.json', hint: 'copy or download config.json beside them' };
  return (
    found(otherModels) ??
    found([unfinished]) ??
    (weights.length > 0 && !weights.some((name) => name.startsWith('consolidated')) ? noConfig : undefined) ??
    elsewhere ??
    found(layouts) ?? {
      message: names.length === 0 ? 'is empty' : 'holds no config.json',
      hint: "a model directory in Hugging Face's layout is expected",
    }
  );
}

/** The names of a folder's entries, including unfinished downloads of the hub. */
function entries(directory: string): string[] {
  const list = (path: string): string[] => {
    try {
      return readdirSync(path);
    } catch {
      return [];
    }
  };
  const downloads = list(join(directory, '.cache', 'huggingface', 'download')).filter((name) =>
    name.endsWith('.incomplete'),
  );
  return [...list(directory).sort(), ...downloads];
}

/** The problem with an adapter, which changes what the weights beside it compute and is useless without them. */
export function adapterProblem(directory: string, names: readonly string[] = entries(directory)): Problem | undefined {
  if (!names.includes('adapter_config.json')) return undefined;
  const merge =
    "merge it: python -c \"from peft import AutoPeftModelForCausalLM as M; M.from_pretrained('.').merge_and_unload().save_pretrained('merged')\" in that folder, and give merged (with the tokenizer's files)";
  if (!names.some((name) => /^(model.*\.safetensors|pytorch_model.*\.bin)$/.test(name))) {
    return { message: 'holds an adapter of PEFT (adapter_config.json), not a whole model', hint: merge };
  }
  return {
    message: 'holds an adapter of PEFT (adapter_config.json) beside the weights, which changes what they compute',
    hint: `${merge}; or, to use the weights without it, move adapter_config.json and adapter_model.* away`,
  };
}

function misnamedWeights(weights: readonly string[]): Problem | undefined {
  if (weights.includes('model.safetensors')) {
    return { message: 'has a model.safetensors that is a link to nothing', hint: 'copy or download the file itself' };
  }
  const shards = weights.filter((name) => /-\d{5}-of-\d{5}\.safetensors$/.test(name));
  if (shards.length > 0) {
    const message = `holds ${shards[0]} without model.safetensors.index.json, which says what is in which file`;
    return { message, hint: 'download or copy the index too' };
  }
  const [name] = weights.filter((candidate) => !candidate.startsWith('consolidated'));
  if (name === undefined) return undefined;
  return {
    message: `has no model.safetensors, but ${name}`,
    hint: `if these are its weights, name it model.safetensors`,
  };
}

function noWeights(directory: string): Problem {
  const near = modelsNear(directory).filter((path) => path !== directory);
  const hint = near.length > 0 ? nearHint(near) : 'give the folder that holds config.json and the weights';
  return { message: 'has no weights: neither model.safetensors (or its index) nor pytorch_model.bin', hint };
}

/** The largest number of folders that are searched for a model. */
const foldersLookedInto = 300;

/** Folders with a config.json below this one, at most five deep, or right above it. */
function modelsNear(directory: string): string[] {
  const found: string[] = [];
  let level = [directory];
  let looked = 0;
  for (let depth = 0; depth < 6 && found.length === 0; depth++) {
    const below: string[] = [];
    for (const folder of level) {
      if (++looked > foldersLookedInto) break;
      if (folder !== directory && existsSync(join(folder, 'config.json'))) found.push(folder);
      else below.push(...subfolders(folder));
    }
    level = below;
  }
  const above = dirname(directory);
  if (found.length === 0 && existsSync(join(above, 'config.json'))) found.push(above);
  return found.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}

function subfolders(folder: string): string[] {
  try {
    const all = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return all.map(({ name }) => join(folder, name)).filter((path) => !basename(path).startsWith('.'));
  } catch {
    return [];
  }
}

function nearHint(near: readonly string[]): string {
  const last = near.at(-1)!;
  return near.length === 1
    ? `give ${last}, which does`
    : `give one of the ${near.length} folders that do, such as ${last}`;
}

/** The problem with a path that was given as a model but is not a folder. */
export function foreignPath(path: string, absolute: string): Problem {
  if (!existsSync(absolute)) return missingPath(path);
  const isTorchFile = /^pytorch_model.*\.bin$/.test(basename(absolute));
  const format = isTorchFile ? undefined : foreignFormat(headOf(absolute), absolute);
  if (format) return { message: `${path} is ${format.name}, not a model directory`, hint: format.hint };
  if (isTorchFile || extname(absolute) === '.safetensors' || basename(absolute) === 'config.json') {
    const hint = `give its folder, ${dirname(path)}, which must hold config.json and the tokenizer's files too`;
    return { message: `${path} is a file of a model, not a model directory`, hint };
  }
  return { message: `${path} is not a directory`, hint: 'give the directory that contains config.json' };
}

const notThere =
  'a model directory is expected; a model on the Hugging Face hub is downloaded first, with `hf download ORG/NAME --local-dir NAME`';

/** The problem with a path that does not exist; it may have been meant as the name of a model on the hub. */
function missingPath(path: string): Problem {
  const id =
    /^(?:\.\/|hf:\/\/|https?:\/\/(?:www\.)?(?:huggingface\.co|hf\.co)\/)?([\w.-]+\/[\w.-]+?)(?:\/(?:tree|blob)\/.*)?\/?$/.exec(
      path,
    )?.[1];
  const isName = id !== undefined && !/^(\.|~)|^(checkpoints|models?|runs?|out|final|data)\//.test(id);
  if (!isName) return { message: `${path} does not exist`, hint: notThere };
  const folder = id.split('/')[1]!;
  return {
    message: `there is no folder ${id}`,
    hint: `models are read from folders; if this is one on the Hugging Face hub, download it with \`hf download ${id} --local-dir ${folder}\` and give ${folder}`,
  };
}

/** The first bytes of a regular file; none for anything else. */
function headOf(path: string): Uint8Array {
  const head = new Uint8Array(signatureBytes);
  try {
    const file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      return fstatSync(file).isFile() ? head.subarray(0, readSync(file, head)) : head.subarray(0, 0);
    } finally {
      closeSync(file);
    }
  } catch {
    return head.subarray(0, 0);
  }
}
