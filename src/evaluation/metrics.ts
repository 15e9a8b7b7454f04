/** What was measured, by the names of the metrics. */
export type Metrics = Record<string, number>;

/** How a metric is named, read and judged: by the report, in the terminal, and by the runner where it is `best`. */
export interface MetricKind {
  label: string;
  /** Which direction is good; absent where neither is. */
  better?: 'higher' | 'lower';
  /** A share in 0..1, written in per cent. */
  share?: boolean;
  /** Whose scale it is on, where that is a model's: values of different judges say nothing about each other. */
  judge?: 'itself' | 'reward model';
  /** Never drawn on a logarithmic axis. */
  linear?: boolean;
  /** For those who meet it for the first time. */
  meaning?: string;
}

/** Every metric that is known. A new one is one entry here; a stage names those that it measures (`Stage.heldOut`). */
const kinds = {
  accuracy: {
    label: 'accuracy',
    better: 'higher',
    share: true,
    meaning: 'share of multiple-choice questions whose correct choice has the highest likelihood per character',
  },
  accuracyByBytes: {
    label: 'accuracy by bytes',
    better: 'higher',
    share: true,
    meaning: 'share of multiple-choice questions whose correct choice has the highest likelihood per UTF-8 byte',
  },
  accuracyBySum: {
    label: 'accuracy without length normalisation',
    better: 'higher',
    share: true,
    meaning: 'share of multiple-choice questions whose correct choice has the highest total likelihood',
  },
  accuracyWhenLonger: {
    label: 'accuracy where the preferred answer is longer',
    better: 'higher',
    share: true,
    meaning: 'reward accuracy on these pairs alone; a model that goes by length is right here and wrong on the others',
  },
  accuracyWhenShorter: {
    label: 'accuracy where the preferred answer is shorter',
    better: 'higher',
    share: true,
    meaning: 'reward accuracy on these pairs alone',
  },
  answerPerplexity: {
    label: 'perplexity of answers',
    better: 'lower',
    meaning: 'exp of the mean −log p of a whole answer after its prompt',
  },
  approximateKl: {
    label: 'KL of the updates',
    meaning: "how far an iteration's updates moved the policy, in nats per token",
  },
  bitsPerByte: { label: 'bits per byte', better: 'lower', meaning: 'cross-entropy of a text in bits per UTF-8 byte' },
  bytePerplexity: { label: 'perplexity per byte', better: 'lower', meaning: 'exp of the cross-entropy per UTF-8 byte' },
  calibrationError: {
    label: 'calibration error',
    better: 'lower',
    share: true,
    meaning: 'mean difference between the confidence in a preference and how often it is right',
  },
  chance: { label: 'chance', share: true },
  chatConsistency: {
    label: 'consistency of the judge',
    share: true,
    meaning: 'share of games whose outcome is the same when the order of the answers is swapped',
  },
  chatLosses: { label: 'lost by the judge', share: true },
  chatWinRate: {
    label: 'win rate by the judge',
    better: 'higher',
    share: true,
    meaning:
      'share of prompts on which a judge that reads both responses prefers this one, in either order; a tie is a half',
  },
  chatWins: { label: 'won by the judge', share: true },
  chosenLogProb: { label: 'log-probability of chosen', meaning: 'of the whole preferred answer, in nats' },
  chosenReward: {
    label: 'reward of chosen',
    judge: 'itself',
    linear: true,
    meaning: 'β times how much likelier the preferred answer is than under the reference',
  },
  chosenScore: {
    label: 'score of chosen',
    judge: 'itself',
    meaning: "the reward model's score of the preferred answer, without its offset",
  },
  clipFraction: {
    label: 'clipped ratios',
    share: true,
    meaning: 'share of tokens (RLOO: of responses) whose gradient is zero because of clipping',
  },
  endRate: { label: 'ended responses', share: true, meaning: 'share of responses that ended with an end token' },
  entropy: { label: 'entropy', meaning: 'how undecided the policy is, in nats per token' },
  equalGroups: {
    label: 'prompts with equal scores',
    share: true,
    meaning: 'share of prompts whose responses all have the same score, so that nothing is learned from them',
  },
  exactMatch: {
    label: 'exact match',
    better: 'higher',
    share: true,
    meaning: 'share of answers that equal the expected one, ignoring case and a final full stop',
  },
  explainedVariance: {
    label: 'explained variance',
    better: 'higher',
    linear: true,
    meaning: 'share of the variance of returns that the critic predicts',
  },
  functionReward: {
    label: 'reward of the function',
    better: 'higher',
    linear: true,
    meaning: "the reward function's mean reward of the responses",
  },
  gradientNorm: { label: 'gradient norm' },
  greedyMatch: {
    label: 'answers written greedily',
    better: 'higher',
    share: true,
    meaning: 'share of answers that greedy decoding writes after their prompt',
  },
  lengthAccuracy: {
    label: 'accuracy of length',
    share: true,
    meaning: 'share of pairs whose preferred answer is the longer one: the accuracy of a judge that only counts tokens',
  },
  kl: {
    label: 'KL to the reference',
    linear: true,
    meaning: 'distance of the policy from its start, in nats per response',
  },
  klCoefficient: {
    label: 'KL coefficient',
    linear: true,
    meaning: 'weight of the KL to the reference, subtracted from the rewards',
  },
  learningRate: { label: 'learning rate', linear: true },
  loss: { label: 'loss', better: 'lower', meaning: 'the training objective, on rows that are not trained on' },
  margin: {
    label: 'reward margin',
    judge: 'itself',
    better: 'higher',
    linear: true,
    meaning: 'reward of the preferred answer minus that of the other',
  },
  nll: {
    label: 'cross-entropy of chosen',
    better: 'lower',
    meaning: 'of the preferred answers, in nats per token: what `nllWeight` adds to the loss',
  },
  modelLosses: { label: 'lost by the reward model', judge: 'reward model', share: true },
  modelReward: {
    label: 'reward of the reward model',
    judge: 'reward model',
    linear: true,
    meaning: 'mean score of the responses by this source alone',
  },
  modelWinRate: {
    label: 'win rate by the reward model',
    judge: 'reward model',
    better: 'higher',
    share: true,
    meaning: "share of prompts on which the reward model prefers the sampled response to the opponent's",
  },
  modelWins: { label: 'won by the reward model', judge: 'reward model', share: true },
  perplexity: {
    label: 'perplexity',
    better: 'lower',
    meaning: 'exp of the mean cross-entropy: among how many equally likely tokens the model hesitates on average',
  },
  preferenceAccuracy: {
    label: 'preference accuracy by likelihood',
    better: 'higher',
    share: true,
    meaning: 'share of pairs whose preferred answer has the higher total likelihood',
  },
  pretrainLoss: { label: 'loss on mixed-in text', meaning: 'cross-entropy of the text that is mixed in' },
  rouge1: {
    label: 'ROUGE-1',
    better: 'higher',
    share: true,
    meaning: 'F1 of the words that answer and reference share',
  },
  rouge2: { label: 'ROUGE-2', better: 'higher', share: true, meaning: 'F1 of the pairs of words that both share' },
  rougeL: {
    label: 'ROUGE-L',
    better: 'higher',
    share: true,
    meaning: 'F1 of their longest common subsequence of words',
  },
  rejectedLogProb: { label: 'log-probability of rejected', meaning: 'of the whole other answer, in nats' },
  rejectedReward: {
    label: 'reward of rejected',
    judge: 'itself',
    linear: true,
    meaning: 'the same for the other answer',
  },
  rejectedScore: { label: 'score of rejected', judge: 'itself', meaning: 'the same for the other answer' },
  responseLength: { label: 'response length', linear: true, meaning: 'in tokens, with the one that ends it' },
  reward: {
    label: 'reward',
    judge: 'reward model',
    better: 'higher',
    linear: true,
    meaning: 'mean score of the responses',
  },
  schemaReward: {
    label: 'JSON by the schema',
    better: 'higher',
    share: true,
    meaning: 'share of responses that satisfy the schema',
  },
  score: {
    label: 'score',
    judge: 'reward model',
    linear: true,
    meaning: 'the reward used for training: scaled, clipped, minus penalties',
  },
  verifiedReward: {
    label: 'verified reward',
    better: 'higher',
    share: true,
    meaning: 'share of responses that are the correct answer',
  },
  wordPerplexity: {
    label: 'perplexity per word',
    better: 'lower',
    meaning: 'exp of the cross-entropy per word: comparable between tokenizers',
  },
  winRate: {
    label: 'win rate',
    better: 'higher',
    share: true,
    meaning:
      "share of prompts on which the sampled response is correct and the opponent's is not; both or neither counts as a half",
  },
  tokensPerSecond: { label: 'tokens per second', linear: true },
} satisfies Readonly<Record<string, MetricKind>>;

/** A metric that is known by name. */
export type MetricName = keyof typeof kinds;

/** What preference stages record of themselves as `accuracy`. */
const rewardAccuracy: MetricKind = {
  label: 'reward accuracy',
  better: 'higher',
  share: true,
  meaning: 'share of pairs whose preferred answer has the higher reward',
};

/**
 * The kind of `exactMatch`, of `town/questions/exactMatch` or of a stage's own `held out/loss`. A name that is not
 * listed is shown in words, unjudged.
 */
export function metricKind(key: string): MetricKind {
  if (key === 'accuracy' || key === 'held out/accuracy') return rewardAccuracy;
  const name = metricName(key);
  const words = name.replace(/([a-z0-9])([A-Z])/g, (_, a: string, b: string) => `${a} ${b.toLowerCase()}`);
  return Object.hasOwn(kinds, name) ? kinds[name as MetricName] : { label: words };
}

export const metricName = (key: string): string => key.slice(key.lastIndexOf('/') + 1);

/** The task or dataset in front of the name: `town/questions` of `town/questions/exactMatch`. */
export const metricSubject = (key: string): string => key.slice(0, Math.max(0, key.lastIndexOf('/')));

/** The key of what was measured in play against another variant: `town/questions against pre/winRate`. */
export const keyAgainst = (key: string, variant: string): string =>
  `${metricSubject(key)} against ${variant}/${metricName(key)}`;

/** Whether a subject is of play against this variant. */
export const isAgainst = (subject: string, variant: string): boolean => subject.endsWith(` against ${variant}`);

/** The subject as people call it: of a path, the last part. */
export function subjectLabel(key: string): string {
  const subject = metricSubject(key);
  const isPath = /^(\.{0,2}\/|[A-Za-z]:)/.test(subject) || subject.split('/').length > 2;
  return isPath ? (subject.split(/[\\/]/).filter(Boolean).at(-1) ?? subject) : subject;
}
