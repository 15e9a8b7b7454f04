import type { PipelineFolder, RecordedNode } from '../../src/runs/pipeline-folder.ts';
import type { ResultRow } from '../../src/runs/results.ts';

/** A node as it is recorded when it has finished and left nothing else. */
export function node(
  stage: string,
  variant: string | undefined,
  seed: number,
  rest: Partial<RecordedNode> = {},
): RecordedNode {
  const id = `${stage}/${variant ?? 'shared'}/seed-${seed}`;
  const empty = { steps: [], evaluations: [], samples: [], start: {}, done: {}, result: {}, config: '', inputs: [] };
  return {
    ...{ id, stage, run: stage, seed, directory: id, status: 'finished' },
    ...(variant && { variant }),
    ...empty,
    ...rest,
  };
}

/** What a compare stage has measured of one model. */
export function row(stage: string, variant: string, seed: number, metrics: Record<string, number>): ResultRow {
  return { stage, variant, seed, metrics, samples: [] };
}

export const folder = (
  nodes: RecordedNode[],
  results: ResultRow[],
  rest: Partial<PipelineFolder> = {},
): PipelineFolder => ({
  ...{ name: 'test', arguments: [], published: [], items: [], sweeps: [] },
  nodes,
  results,
  ...rest,
});
