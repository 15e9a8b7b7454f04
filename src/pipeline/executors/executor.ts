import type { HeldOut, MetricsRecord } from '../../runs/records.ts';
import type { RunStatus } from '../../runs/status.ts';
import type { PlanNode } from '../plan.ts';
import type { StopReason } from '../stop.ts';

/**
 * Runs nodes, in processes on this machine or elsewhere. The process that runs a node and the one that started it only
 * need to share its folder: node.json describes the work, and metrics.jsonl its progress and how it ended.
 */
export interface Executor {
  /** The number of nodes that may run at once. */
  readonly limit: number;
  /** Starts a node whose folder has been prepared (`followNode` does what all executors have in common). */
  start(node: PlanNode, hears: ExecutionListener): Running;
}

/** A started node. */
export interface Running {
  /** How it ended, according to its folder. */
  readonly outcome: Promise<NodeOutcome>;
  /** Asks it to finish its step, save and end. */
  stop(reason: StopReason): void;
  /** Asks it to save after its step and continue. */
  save(): void;
  /** Ends it at once. */
  kill(): void;
  /** Suspends and resumes it along with this process (Ctrl-Z); absent if the node is independent of a terminal. */
  suspend?(): void;
  resume?(): void;
}

/** An entry in the list of executors; `name` is what users choose it by. */
export interface ExecutorKind {
  name: string;
  open(options: ExecutorOptions): Executor;
}

export interface ExecutorOptions {
  /** Arguments for `node` that start this same program: its script, preceded by options. */
  command: readonly string[];
  /** The number of nodes that may run at once; each has `threads` threads. */
  jobs: number;
  threads: number;
}

/** Receives events of nodes while they run. */
export interface ExecutionListener {
  /** The work of another config in the node's folder was renamed to `folder`. */
  keptAside(node: PlanNode, folder: string): void;
  started(node: PlanNode): void;
  record(node: PlanNode, record: MetricsRecord): void;
  /** A message that should be seen at once; the node continues. */
  warned(node: PlanNode, message: string): void;
  ended(node: PlanNode, outcome: NodeOutcome): void;
}

export interface NodeOutcome {
  id: string;
  /**
   * `done`: finished just now; `finished`: was finished before; `unselected`: not requested; `skipped`: not started
   * because of a stop or a missing input; `diverged`: a trial of a sweep whose failure rules out its values.
   */
  status: Extract<RunStatus, 'finished' | 'failed' | 'stopped'> | 'done' | 'unselected' | 'skipped' | 'diverged';
  /** The exit status of a command that runs only this node. */
  exitCode?: number;
  seconds?: number;
  step?: number;
  loss?: number;
  heldOut?: HeldOut;
  /** Why it failed. */
  error?: string;
  /** Why training diverged, if that was the failure; it would fail in the same way again. */
  divergence?: string;
  /** Why it was skipped, or what made it diverge. */
  reason?: string;
}
