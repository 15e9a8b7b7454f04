import { visible } from './visible.ts';

/** One thing that is wrong with a request: what, where, why, and what to do about it. */
export interface Problem {
  /** What was found and what was expected, in one sentence without a final full stop. */
  message: string;
  /** The key, file or tensor concerned, such as `stages.sft.lr`. */
  where?: string;
  /** 1-based line in the file that the request came from. */
  line?: number;
  /** What to do; printed after `→ hint:`. */
  hint?: string;
}

/** The request itself was wrong (config, flags, files) and nothing was started. The command exits with 2. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly problems: readonly Problem[];
  /** The file or command that the problems are in. */
  readonly subject: string | undefined;

  constructor(problems: Problem | readonly Problem[] | string, subject?: string) {
    const list = typeof problems === 'string' ? [{ message: problems }] : 'message' in problems ? [problems] : problems;
    super(formatProblems(list, subject));
    this.problems = list;
    this.subject = subject;
  }
}

/** The run failed after it had started. The command exits with 1. */
export class RunError extends Error {
  override readonly name = 'RunError';
  readonly hint: string | undefined;
  /** True if the stage's state is still as it was before the step that failed, so that it can be saved. */
  stateIsWhole: boolean;
  /** Whether training itself diverged, so that the same run would fail again at the same step. */
  readonly diverged: boolean;

  constructor(
    message: string,
    options: { hint?: string; cause?: unknown; stateIsWhole?: boolean; diverged?: boolean } = {},
  ) {
    super(message, { cause: options.cause });
    this.hint = options.hint;
    this.stateIsWhole = options.stateIsWhole ?? false;
    this.diverged = options.diverged ?? (options.cause instanceof RunError && options.cause.diverged);
  }
}

/** Nobody reads more problems than this before fixing the first. */
const shownProblems = 50;

/** Characters of a single text; nobody reads more. */
const shownLength = 4000;

/** The error for a model that computed NaN or infinity; `what` is subject and verb, such as "the logits are". */
export function notFinite(what: string): RunError {
  const hint =
    'its weights are damaged, too large for their precision, or saved after training had diverged: use another checkpoint';
  return new RunError(`${what} not finite numbers`, { hint, diverged: true });
}

/** The text that is printed: a headline with the number of problems, then each problem with its place and hint. */
export function formatProblems(problems: readonly Problem[], subject?: string): string {
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  const lines = [`${count}${subject ? ` in ${shown(subject)}` : ''}, nothing was started`, ''];
  for (const { line, where, message, hint } of problems.slice(0, shownProblems)) {
    const place = [line === undefined ? '' : `line ${line}`, where ? shown(where) : ''].filter(Boolean).join('  ');
    lines.push(`  ${place}${place ? ': ' : ''}${shown(message)}`);
    if (hint) lines.push(`           → hint: ${shown(hint)}`);
  }
  if (problems.length > shownProblems) lines.push(`  … and ${problems.length - shownProblems} more problems`);
  return lines.join('\n');
}

/** Indents the further lines of a text, so that none of them can be mistaken for a problem or a hint of ours. */
function shown(text: string): string {
  const cut = text.length > shownLength ? `${text.slice(0, shownLength)}…` : text;
  return visible(cut).replaceAll('\n', '\n             ');
}
