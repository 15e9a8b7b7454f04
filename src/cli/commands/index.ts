import { type AddCommand, group } from '../command.ts';
import { addAnalyzeCommand } from './analyze.ts';
import { addBenchGenerateCommand } from './bench-generate.ts';
import { addBenchOpsCommand } from './bench-ops.ts';
import { addBenchTrainCommand } from './bench-train.ts';
import { addCheckCommand } from './check.ts';
import { addDoctorCommand } from './doctor.ts';
import { addEvaluateCommand } from './evaluate.ts';
import { addExportCommand } from './export.ts';
import { addGenerateCommand } from './generate.ts';
import { addInspectCommand } from './inspect.ts';
import { addNodeCommand } from './node.ts';
import { addRunCommand } from './run.ts';
import { addRunsCommand } from './runs.ts';
import { addScoreCommand } from './score.ts';
import { addStageCommands } from './stages.ts';

/** The commands of `mixtune`, in the order in which `--help` lists them. */
export const commands: readonly AddCommand[] = [
  addRunCommand,
  addCheckCommand,
  addStageCommands,
  addEvaluateCommand,
  addAnalyzeCommand,
  addScoreCommand,
  addGenerateCommand,
  addInspectCommand,
  addExportCommand,
  addRunsCommand,
  group('bench', 'Measure how fast this machine trains, generates and computes.', [
    addBenchTrainCommand,
    addBenchGenerateCommand,
    addBenchOpsCommand,
  ]),
  addDoctorCommand,
  addNodeCommand,
];
