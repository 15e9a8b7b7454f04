import type { HeldOut, MetricsRecord } from '../../runs/records.ts';
import type { RunStatus } from '../../runs/status.ts';
import type { PlanNode } from '../plan.ts';
import type { StopReason } from '../stop.ts';

/**
 * Runs nodes, in processes of this machine or elsewhere. The process that runs a node and the one that started it need
 * to share nothing but its folder: node.json says what is to be done, metrics.jsonl how it gets on and how it ended.
 */
export interface Executor {
  /** Nodes that may run at once. */
  readonly limit: number;
  /** Starts a node whose folder is prepared (`followNode` does what all executors have in common). */
  start(node: PlanNode, hears: ExecutionListener): Running;
}

/** A node that was started. */
export interface Running {
  /** How it ended, by its folder. */
  readonly outcome: Promise<NodeOutcome>;
  /** Asks it to finish its step, save and end. */
  stop(reason: StopReason): void;
  /** Asks it to save after its step and go on. */
  save(): void;
  /** Ends it at once. */
  kill(): void;
  /** Lets it wait, and go on, with this process (Ctrl-Z); absent where no terminal has any part in it. */
  suspend?(): void;
  resume?(): void;
}

/** An executor as it is listed, under the name by which it is asked for. */
export interface ExecutorKind {
  name: string;
  open(options: ExecutorOptions): Executor;
}

export interface ExecutorOptions {
  /** Arguments of `node` that start this same command line: its script, and options before it. */
  command: readonly string[];
  /** Nodes that may run at once, and the threads of each. */
  jobs: number;
  threads: number;
}

/** Hears of nodes while they run. */
export interface ExecutionListener {
  /** What another config left in the node's folder was renamed to `folder`. */
  keptAside(node: PlanNode, folder: string): void;
  started(node: PlanNode): void;
  record(node: PlanNode, record: MetricsRecord): void;
  /** Something that a person should know at once, and that ends nothing. */
  warned(node: PlanNode, message: string): void;
  ended(node: PlanNode, outcome: NodeOutcome): void;
}

export interface NodeOutcome {
  id: string;
  /**
   * `done`: finished just now; `finished`: it was there before; `unselected`: not asked for; `skipped`: not begun,
   * because of a stop or of what it reads; `diverged`: a trial of a sweep that failed in a way that decides against it.
   */
  status: Extract<RunStatus, 'finished' | 'failed' | 'stopped'> | 'done' | 'unselected' | 'skipped' | 'diverged';
  /** What a command that runs this node alone would exit with. */
  exitCode?: number;
  seconds?: number;
  step?: number;
  loss?: number;
  heldOut?: HeldOut;
  /** Why it failed. */
  error?: string;
  /** Why it failed in a way in which it would fail again. */
  divergence?: string;
  /** Why it was skipped, or what made it diverge. */
  reason?: string;
}
