/**
 * Writes fixtures/written-by-7ccb2ed: models as the program at that commit wrote them, and the logits that it gave.
 *
 *     git worktree add ../old 7ccb2ed && (cd ../old && npm ci && npm run build)
 *     node test/checkpoint/make-old-models.mjs ../old
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const checkout = resolve(process.argv[2]);
const old = (path) => import(join(checkout, 'dist', path));
const { hiddenStates, loadModel, openBackend, writeModelDirectory } = await old('index.js');
const { headOf } = await old('model/model.js');
const { checkpointTensors } = await old('model/parameters.js');
const { RandomStream } = await old('random.js');
const { linear } = await old('tensor/fused/linear.js');
const { scope } = await old('tensor/scope.js');

const fixtures = fileURLToPath(new URL('fixtures/written-by-7ccb2ed', import.meta.url));
const sizes = { vocabSize: 11, hiddenSize: 8, intermediateSize: 12, layers: 3, heads: 4, kvHeads: 2, headDim: 4 };
const rest = { ropeTheta: 100, rmsNormEps: 1e-5, maxLength: 64, tieWordEmbeddings: false };
const models = {
  pre: { ...sizes, ...rest, norm: 'pre', postLayers: 0 },
  post: { ...sizes, ...rest, norm: 'post', postLayers: 3 },
  mix: { ...sizes, ...rest, norm: 'mix', postLayers: 2, tieWordEmbeddings: true },
};
const tokens = Int32Array.of(1, 4, 7, 2, 9, 3);
const input = { tokens, positions: tokens.map((_, i) => i), segments: Int32Array.of(0, tokens.length) };

const { backend } = await openBackend({ backend: 'portable', precision: 'f32' });
const logits = {};
for (const [name, config] of Object.entries(models)) {
  const directory = join(fixtures, name);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const shapes = new Map(checkpointTensors(config).map(({ name, shape }) => [name, shape]));
  const read = async (name) => {
    const random = new RandomStream(1, name);
    return Float32Array.from({ length: shapes.get(name).reduce((a, b) => a * b) }, () => random.normal());
  };
  await writeModelDirectory(directory, { config, read, dtype: 'bf16', bosId: 1, eosIds: [2, 3], padId: undefined });
  await rm(join(directory, 'modeling_mixln.py'), { force: true });
  const { model } = await loadModel(directory, backend);
  const tensor = scope(() => linear(hiddenStates(model, input), headOf(model)), { adopt: false });
  logits[name] = [...(await backend.read(tensor))];
}
await writeFile(join(fixtures, 'logits.json'), `${JSON.stringify({ tokens: [...tokens], logits })}\n`);
