import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runCommandLine } from '../../src/cli/program.ts';
import { inFlags } from '../../src/config/flags.ts';
import { stages } from '../../src/stages/index.ts';

let stderr = '';

beforeEach(() => {
  stderr = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += String(text);
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

async function told(...argv: string[]): Promise<string> {
  expect(await runCommandLine(argv, stages)).toBe(2);
  return stderr;
}

describe('flags and commands of other tools', () => {
  it.each([
    ['sft', '--model', '--from'],
    ['sft', '--model_name_or_path', '--from'],
    ['sft', '--dataset', '--data'],
    ['sft', '--learning-rate', '--lr'],
    ['sft', '--learning_rate', '--lr'],
    ['sft', '--num-train-epochs', '--epochs'],
    ['sft', '--max_steps', '--steps'],
    ['sft', '--per-device-train-batch-size', '--batch-size'],
    ['sft', '--batch_size', '--batch-size'],
    ['sft', '--gradient-accumulation-steps', '--accumulate'],
    ['sft', '--output-dir', '--out'],
    ['sft', '--max-seq-length', '--max-length'],
    ['sft', '--cutoff_len', '--max-length'],
    ['pretrain', '--block-size', '--length'],
    ['pretrain', '--num_hidden_layers', '--layers'],
    ['pretrain', '--d-model', '--hidden-size'],
    ['sft', '--warmup-ratio', '--warmup'],
    ['sft', '--lr-scheduler-type', '--schedule'],
    ['sft', '--eval-steps', '--eval-every'],
    ['sft', '--save-steps', '--save-every'],
    ['sft', '--gradient-checkpointing', '--recompute'],
    ['sft', '--bf16', '--precision'],
    ['sft', '--max-grad-norm', '--clip'],
    ['sft', '--test-size', '--hold-out'],
    ['generate', '--max-tokens', '--max-new-tokens'],
    ['generate', '--temp', '--temperature'],
    ['evaluate', '--benchmark', '--tasks'],
    ['sft', '--form', '--from'],
  ])('%s %s: did you mean %s?', async (command, typed, meant) => {
    const text = await told(command, typed, '1');
    expect(text).toContain(`unknown option '${typed}'`);
    expect(text).toContain(`did you mean ${meant}?`);
  });

  it.each([
    [['sft', '--lora'], 'there is no LoRA in mixtune yet'],
    [['sft', '--use_peft=true'], 'there is no LoRA in mixtune yet'],
    [['sft', '--load-in-4bit'], 'there is no quantisation in mixtune yet'],
    [['sft', '--deepspeed', 'x'], 'in one process on this machine'],
    [['sft', '--resume-from-checkpoint', 'x'], 'continues when it is started again with the same --out'],
    [['sft', '--report-to', 'wandb'], 'metrics.jsonl'],
    [['export', 'x', '--out', 'y', '--torch-dtype', 'f16'], 'did you mean --dtype?'],
    [['serve'], 'mixtune serves no models'],
    [['quantize'], 'there is no quantisation'],
    [['train'], 'did you mean `pretrain` from scratch, `sft` from a model`?'],
    [['finetune', 'x'], 'did you mean `sft`?'],
    [['eval', 'x'], 'did you mean `evaluate`?'],
    [['chat', 'x'], 'did you mean `generate`?'],
    [['stf'], 'did you mean `sft`?'],
    [['xyzzy'], 'there is `run`, `check`'],
    [['runs', 'ls'], 'did you mean `list`?'],
    [['sft', '--xyzzy'], 'mixtune sft --help lists them'],
    [['sft', '--seed', 'x'], 'mixtune sft --help lists them'],
  ])('%j: %s', async (argv, hint) => {
    expect(await told(...argv)).toContain(hint);
  });

  it('guesses nothing that a command does not have', async () => {
    expect(await told('inspect', '--learning-rate', '1')).not.toContain('did you mean');
  });
});

describe('keys in a message about flags', () => {
  const keys = ['maxLength', 'onTooLong', 'lr', 'verify', 'holdOut'];
  it.each([
    ['raise maxLength, or `onTooLong: drop`', 'raise --max-length, or --on-too-long drop'],
    ['set `verify: exact`; `lr` is 0', 'set --verify exact; --lr is 0'],
    [
      '`messages` of maxLength.json, a/maxLength, --maxLength',
      '`messages` of maxLength.json, a/maxLength, --maxLength',
    ],
    ['lower lr or minLength', 'lower lr or minLength'],
    ['give `holdOut` a share such as 0.05', 'give --hold-out a share such as 0.05'],
  ])('%s', (text, expected) => {
    expect(inFlags(text, keys)).toBe(expected);
  });
});
