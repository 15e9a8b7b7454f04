/** What lies in the folder of a run; docs/architecture.md has the tree. States are named by `checkpoint/states.ts`. */
export const fileNames = {
  job: 'node.json',
  config: 'config.yaml',
  records: 'metrics.jsonl',
  log: 'log.txt',
  lock: 'node.lock',
  cache: 'cache',
  /** The result; in that of a stage that measures, `results` and `items`. */
  final: 'final',
  results: 'results.json',
  items: 'items.jsonl',
} as const;

/** What lies in the folder of a pipeline beside those of its nodes. */
export const pipelineFileNames = { plan: 'plan.json', report: 'report/index.html' } as const;
