import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { saveModel } from '../../src/checkpoint/load-model.ts';
import { rewardModelFrom } from '../../src/checkpoint/reward-model.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { type Model, releaseModel } from '../../src/model/model.ts';
import { withPlacement } from '../../src/model/norm.ts';
import { presetConfig } from '../../src/model/presets.ts';
import type { Stage, StageInput, StageRun } from '../../src/stages/stage.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { openBackend } from '../../src/tensor/backends/open.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';

const questions = Array.from({ length: 12 }, (_, i) => ({
  question: `How much is ${i} and ${i}?`,
  answer: `It is ${2 * i}.`,
}));
const text = questions.map(({ question, answer }) => `${question} ${answer}\n`).join('');

const files: Record<string, string | readonly unknown[]> = {
  'text.txt': text.repeat(3),
  'messages.jsonl': questions.map(({ question, answer }) => ({
    messages: [
      { role: 'user', content: question },
      { role: 'assistant', content: answer },
    ],
  })),
  'pairs.jsonl': questions.map(({ question, answer }) => ({ prompt: question, chosen: answer, rejected: 'No idea.' })),
  'prompts.jsonl': questions.map(({ question, answer }) => ({ prompt: question, answer })),
  'one-prompt.jsonl': Array.from({ length: 12 }, () => ({ prompt: 'How much?', answer: '1' })),
  'length.js': 'export default (prompt, completion) => completion.length;',
};

/** A language model of two layers in `start`, a reward model in `reward`, and data of every kind. */
export interface SmallWorld {
  directory: string;
  backend: Backend;
  /** Of all its models. */
  tokenizer: Tokenizer;
  /** What lines were logged goes to `logged`. */
  run(seed?: number, logged?: string[]): StageRun;
  /** Opens a stage on `config`, from a saved state where one is given. */
  open<Config, State>(stage: Stage<Config, State>, config: object, options?: Opening): Promise<Opened<Config, State>>;
  /** Saves a state into a new folder, which is returned. */
  save<Config, State>(stage: Stage<Config, State>, state: State): Promise<string>;
  weightsOf(model: Model): Promise<string>;
  close(): Promise<void>;
}

export interface Opening {
  seed?: number;
  from?: string;
}

export interface Opened<Config, State> {
  config: Config;
  state: State;
  run: StageRun;
  logged: string[];
}

export async function smallWorld(): Promise<SmallWorld> {
  const directory = await mkdtemp(join(tmpdir(), 'mixtune-small-'));
  const { backend } = await openBackend({ precision: 'f32' });
  for (const [name, content] of Object.entries(files)) {
    const lines = typeof content === 'string' ? content : content.map((row) => `${JSON.stringify(row)}\n`).join('');
    await writeFile(join(directory, name), lines);
  }
  const tokenizer = trainTokenizer([text], { vocabSize: 300 });
  const savedModel = async (name: string, model: Model): Promise<StageInput> => {
    const path = join(directory, name);
    await mkdir(path);
    await saveModel(path, model, { tokenizer });
    releaseModel(model);
    return { name, directory: path };
  };
  const shape = withPlacement({ ...presetConfig('1m'), vocabSize: tokenizer.vocabSize, layers: 2 }, 'mix', {
    postLayers: 1,
  });
  const start = await savedModel('start', await initialiseModel(shape, backend, 3, { std: 0.05, embeddingStd: 0.05 }));
  const reward = await savedModel('reward', await rewardModelFrom(start.directory, backend, 5));

  const world: SmallWorld = {
    directory,
    backend,
    tokenizer,
    run: (seed = 1, logged = []) => ({
      backend,
      seed,
      directory,
      baseDirectory: directory,
      inputs: { from: [start], tokenizer: [start], reward: [reward] },
      log: (line) => void logged.push(line),
    }),
    async open(stage, config, { seed, from } = {}) {
      const logged: string[] = [];
      const run = world.run(seed, logged);
      const parsed = stage.schema.parse(config);
      if (!('reward' in config)) run.inputs = { ...run.inputs, reward: [] };
      return { config: parsed, run, logged, state: await stage.open(parsed, run, from) };
    },
    async save(stage, state) {
      const folder = await mkdtemp(join(directory, 'saved-'));
      await stage.save!(state, folder);
      return folder;
    },
    async weightsOf({ parameters }) {
      const hash = createHash('sha256');
      for (const tensor of parameters.values()) hash.update(await backend.read(tensor));
      return hash.digest('hex');
    },
    async close() {
      await backend.dispose();
      await rm(directory, { recursive: true });
    },
  };
  return world;
}
