import { basename } from 'node:path';

/** The format of a file that is not a safetensors file, and what to do about it. */
export interface ForeignFormat {
  /** As in `is …`. */
  name: string;
  hint: string;
}

/**
 * Python code that converts the weights of pickled files, given by a glob pattern, to safetensors unchanged, without a
 * model class in between.
 */
export function pickleHint(pattern: string): string {
  return `write the same tensors as safetensors: python -c "import glob, torch; from safetensors.torch import save_file; save_file({k: v.contiguous().clone() for f in glob.glob('${pattern}') for k, v in torch.load(f, map_location='cpu', weights_only=True).items()}, 'model.safetensors', metadata={'format': 'pt'})" in its folder`;
}

/** Python code that converts a GGUF file of llama.cpp to a Hugging Face directory with its tokenizer. */
export function ggufHint(file: string): string {
  return `take the Hugging Face directory that it was made from; or, where it is a Llama, write it with transformers 5: python -c "from transformers import *; f = '${file}'; AutoModelForCausalLM.from_pretrained('.', gguf_file=f, quantization_config=GgufConfig(dequantize=True)).save_pretrained('hf'); AutoTokenizer.from_pretrained('.', gguf_file=f).save_pretrained('hf')" in its folder, and give its folder hf`;
}

const again = (): string => 'download it again';
const inSafetensors = (): string => 'take the model in safetensors';
const unpack = (): string => 'unpack it';
const pullLfs = (): string => 'fetch the file: `git lfs install && git lfs pull` in its folder';

/** First bytes, the format of files that start with them, and what to do about it. None is a prefix of another. */
const signatures: readonly (readonly [bytes: string, name: string, hint: (file: string) => string])[] = [
  ['GGUF', 'a GGUF file, of llama.cpp', ggufHint],
  ['lmgg', 'a GGML file, of an old llama.cpp', inSafetensors],
  ['tjgg', 'a GGML file, of an old llama.cpp', inSafetensors],
  ['version https://git-lfs', 'a Git LFS pointer, not the file itself', pullLfs],
  ['<!DOCTYPE', 'a web page', again],
  ['<!doctype', 'a web page', again],
  ['<html', 'a web page', again],
  ['<?xml', 'an XML document', again],
  ['PK\x03\x04', 'a zip archive, as PyTorch and NumPy write', pickleHint],
  ['\x80\x02', 'a Python pickle', pickleHint],
  ['\x80\x03', 'a Python pickle', pickleHint],
  ['\x80\x04', 'a Python pickle', pickleHint],
  ['\x80\x05', 'a Python pickle', pickleHint],
  ['\x89HDF', 'an HDF5 file, as Keras writes', inSafetensors],
  ['\x93NUMPY', 'a NumPy array', inSafetensors],
  ['\x1f\x8b', 'a gzip archive', unpack],
  ['\x28\xb5\x2f\xfd', 'a zstd archive', unpack],
];

/** Length of the longest signature, in bytes. */
export const signatureBytes = Math.max(...signatures.map(([bytes]) => bytes.length));

/** The format of a file by its first bytes, if it is one that is often mistaken for safetensors. */
export function foreignFormat(head: Uint8Array, path: string): ForeignFormat | undefined {
  const text = Buffer.from(head.subarray(0, signatureBytes)).toString('latin1');
  const found = signatures.find(([bytes]) => text.startsWith(bytes));
  return found && { name: found[1], hint: found[2](basename(path)) };
}
