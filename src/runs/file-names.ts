/** Files and folders of a run; docs/architecture.md shows the tree. `checkpoint/states.ts` names the states. */
export const fileNames = {
  job: 'node.json',
  config: 'config.yaml',
  records: 'metrics.jsonl',
  log: 'log.txt',
  lock: 'node.lock',
  cache: 'cache',
  /** The result. For a stage that measures, it contains `results` and `items`. */
  final: 'final',
  results: 'results.json',
  items: 'items.jsonl',
} as const;

/** Files of a pipeline, next to the folders of its nodes. */
export const pipelineFileNames = { plan: 'plan.json', report: 'report/index.html' } as const;
