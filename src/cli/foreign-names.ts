import { closest } from '../config/suggest.ts';

/** Flags of other tools, in lower case without hyphens, and ours. The first of ours that a command has is suggested. */
const flags: readonly (readonly [theirs: string, ours: string])[] = [
  ['model modelname modelnameorpath modelpath basemodel pretrained pretrainedmodel checkpoint', '--from'],
  ['rewardmodel rewardmodelpath', '--reward'],
  ['refmodel referencemodel', '--reference'],
  ['dataset datasets datasetname datasetpath datapath datafile trainfile traindata trainingdata', '--data'],
  ['learningrate policylr', '--lr'],
  ['numtrainepochs numepochs trainepochs nepochs', '--epochs'],
  ['maxsteps numsteps trainsteps numtrainsteps iters numiters maxiters iterations', '--steps'],
  ['perdevicetrainbatchsize perdevicebatchsize trainbatchsize microbatchsize minibatchsize bs bsz', '--batch-size'],
  ['gradientaccumulationsteps gradientaccumulation gradaccum gradaccumsteps accumulationsteps', '--accumulate'],
  ['outputdir output outdir savedir savepath logdir', '--out'],
  [
    'maxseqlength maxseqlen seqlength seqlen sequencelen sequencelength contextlength cutofflen modelmaxlength',
    '--max-length',
  ],
  ['maxseqlength maxseqlen seqlength seqlen sequencelen sequencelength contextlength blocksize', '--length'],
  ['maxpromptlength truncation overlength', '--on-too-long'],
  ['warmupratio warmupsteps numwarmupsteps', '--warmup'],
  ['lrscheduler lrschedulertype scheduler decay', '--schedule'],
  ['evalsteps evalinterval evaliters evaluationstrategy evalstrategy', '--eval-every'],
  ['savesteps saveinterval checkpointevery', '--save-every'],
  ['loggingsteps loginterval', '--log-every'],
  ['numhiddenlayers numlayers nlayers nlayer depth', '--layers'],
  ['dmodel dim nembd hiddendim', '--hidden-size'],
  ['numattentionheads numheads nheads nhead', '--heads'],
  ['numkeyvalueheads nkvheads', '--kv-heads'],
  ['dff ffndim mlpdim ffnhiddensize', '--intermediate-size'],
  ['initializerrange', '--init-std'],
  ['gradientcheckpointing activationcheckpointing', '--recompute'],
  ['bf16 fp16 fp32 tf32 dtype torchdtype mixedprecision', '--precision'],
  ['dtype torchdtype outtype', '--dtype'],
  ['maxgradnorm gradclip gradientclipping clipgrad', '--clip'],
  ['wd', '--weight-decay'],
  ['testsize valsize valsetsize validationsplit evalsplit testsplit', '--hold-out'],
  ['klcoef initklcoef klcoeff', '--kl-coefficient'],
  ['maxtokens numpredict npredict maxlength maxcompletionlength responselength', '--max-new-tokens'],
  ['temp', '--temperature'],
  ['numproc numworkers nthreads numthreads cpus', '--threads'],
  ['device gpu gpus cuda ngpu', '--backend'],
  ['task benchmark benchmarks', '--tasks'],
];

/** Commands of other tools, and ours. The first of ours that exists is suggested. */
const commands: readonly (readonly [theirs: string, ours: string])[] = [
  ['train trainer', 'pretrain` from scratch, `sft` from a model'],
  ['finetune tune ft instruct supervised', 'sft'],
  ['eval test bench-eval lm-eval lmeval', 'evaluate'],
  ['chat talk infer inference predict complete sample ask', 'generate'],
  ['rm rewardmodel rewardmodelling', 'reward'],
  ['rlhf align', 'ppo` or `dpo'],
  ['kto orpo ipo simpo cpo', 'dpo --loss'],
  ['tokenize tokenise', 'tokenizer'],
  ['convert save dtype', 'export'],
  ['info show describe summary', 'inspect'],
  ['list ls history status', 'runs list'],
  ['ls history status', 'list'],
  ['validate lint dryrun', 'check'],
  ['benchmark', 'bench'],
  ['env setup', 'doctor'],
];

/** Flags and commands for what other tools have and mixtune does not. */
const absent: readonly (readonly [theirs: RegExp, hint: string])[] = [
  [/lora|peft|adapter|dora/, 'there is no LoRA in mixtune yet: all weights are trained'],
  [
    /4bit|8bit|quant|gptq|awq|gguf/,
    'there is no quantisation in mixtune yet: weights are f32, bf16 or f16 (`mixtune export`)',
  ],
  [
    /deepspeed|fsdp|zero|ddp|nproc|numprocesses|tensorparallel|multigpu/,
    'mixtune trains in one process on this machine',
  ],
  [/wandb|reportto|tensorboard|mlflow/, "a run's measurements are in its metrics.jsonl and its report"],
  [/^resume/, 'a stopped run continues when it is started again with the same --out'],
  [/overwrite/, 'give another --out: the result of a run is never overwritten'],
  [
    /pushtohub|upload|hubmodelid|^push/,
    'nothing is uploaded: final/ is a Hugging Face directory, which `hf upload` accepts',
  ],
  [/^download$|^pull$/, 'nothing is downloaded: `hf download NAME --local-dir DIR` gets a model for --from'],
  [/serve|server|^api$/, 'mixtune serves no models: final/ is a Hugging Face directory, which servers can load'],
  [/^merge/, 'there is nothing to merge: final/ has the full weights'],
  [/packing|^pack$/, 'rows of a batch are packed without padding, and do not attend to each other'],
  [/trustremotecode/, 'code that comes with a model is never run'],
  [/flashattention|^attn|useflash/, 'attention is always fused'],
];

/** A hint for a flag that a command does not have, by its meaning in other tools or by its spelling. */
export function flagHint(typed: string, known: readonly string[]): string | undefined {
  const name = simplified(typed);
  const missing = absent.find(([theirs]) => theirs.test(name))?.[1];
  if (missing) return missing;
  const spelt = known.find((flag) => simplified(flag) === name);
  const meant = spelt ?? flags.find(([theirs, ours]) => theirs.split(' ').includes(name) && known.includes(ours))?.[1];
  const near = meant ?? closest(typed, known);
  return near && `did you mean ${near}?`;
}

/** A hint for an unknown command, by its meaning in other tools or by its spelling. */
export function commandHint(typed: string, known: readonly string[]): string {
  const name = simplified(typed);
  const missing = absent.find(([theirs]) => theirs.test(name))?.[1];
  if (missing) return missing;
  const isKnown = (ours: string) => known.includes(/^\w+/.exec(ours)![0]);
  const translated = commands.find(([theirs, ours]) => theirs.split(' ').includes(name) && isKnown(ours))?.[1];
  const meant = translated ?? closest(typed, known);
  return meant ? `did you mean \`${meant}\`?` : `there is ${known.map((command) => `\`${command}\``).join(', ')}`;
}

function simplified(name: string): string {
  return name.replace(/[-_.]/g, '').toLowerCase();
}
