import type { Command } from 'commander';
import { addBenchGenerateCommand } from './bench-generate.ts';
import { addBenchOpsCommand } from './bench-ops.ts';
import { addBenchTrainCommand } from './bench-train.ts';
import type { Program } from './program.ts';

export function addBenchCommand(parent: Command, program: Program): void {
  const bench = parent.command('bench').description('Measure how fast this machine trains, generates and computes.');
  addBenchTrainCommand(bench, program);
  addBenchGenerateCommand(bench, program);
  addBenchOpsCommand(bench, program);
}
