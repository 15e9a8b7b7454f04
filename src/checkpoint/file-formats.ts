/** What a file is that is no safetensors file, and what to do about it. */
export interface ForeignFormat {
  /** As in `is …`. */
  name: string;
  hint: string;
}

/** Python that gives the weights of pickled files, named by a glob pattern, to safetensors as they are, without a model class between. */
export function pickleHint(pattern: string): string {
  return `write the same tensors as safetensors: python -c "import glob, torch; from safetensors.torch import save_file; save_file({k: v.contiguous().clone() for f in glob.glob('${pattern}') for k, v in torch.load(f, map_location='cpu', weights_only=True).items()}, 'model.safetensors', metadata={'format': 'pt'})" in its folder`;
}

const again = 'download it again';
const ggufHint =
  'take the Hugging Face directory that it was made from; or, where it is a Llama, load it in transformers with gguf_file="….gguf" and write it with save_pretrained';
const gguf = { name: 'a GGUF file, of llama.cpp', hint: ggufHint };

/** By the first bytes of a file; no two of them can be the same file. */
const signatures: readonly (readonly [bytes: string, format: ForeignFormat])[] = [
  ['GGUF', gguf],
  ['lmgg', { ...gguf, name: 'a GGML file, of an old llama.cpp' }],
  ['tjgg', { ...gguf, name: 'a GGML file, of an old llama.cpp' }],
  [
    'version https://git-lfs',
    {
      name: 'a Git LFS pointer, not the file itself',
      hint: 'fetch the file: `git lfs install && git lfs pull` in its folder',
    },
  ],
  ['<!DOCTYPE', { name: 'a web page', hint: again }],
  ['<!doctype', { name: 'a web page', hint: again }],
  ['<html', { name: 'a web page', hint: again }],
  ['<?xml', { name: 'an XML document', hint: again }],
  ['PK\x03\x04', { name: 'a zip archive, as PyTorch and NumPy write', hint: pickleHint('FILE') }],
  ...['\x02', '\x03', '\x04', '\x05'].map((version): [string, ForeignFormat] => [
    `\x80${version}`,
    { name: 'a Python pickle', hint: pickleHint('FILE') },
  ]),
  ['\x89HDF', { name: 'an HDF5 file, as Keras writes', hint: 'take the model in safetensors' }],
  ['\x1f\x8b', { name: 'a gzip archive', hint: 'unpack it' }],
  ['\x28\xb5\x2f\xfd', { name: 'a zstd archive', hint: 'unpack it' }],
  ['\x93NUMPY', { name: 'a NumPy array', hint: 'take the model in safetensors' }],
  ['PAR1', { name: 'a Parquet file', hint: 'a model is needed' }],
];

/** Longest signature, in bytes. */
export const signatureBytes = Math.max(...signatures.map(([bytes]) => bytes.length));

/** What a file is by its first bytes, if it is one of the files that are often taken for another. */
export function foreignFormat(head: Uint8Array): ForeignFormat | undefined {
  const text = Buffer.from(head.subarray(0, signatureBytes)).toString('latin1');
  return signatures.find(([bytes]) => text.startsWith(bytes))?.[1];
}
