import { runCommandLine } from '../../dist/cli/program.js';
import { stages } from './counter-stages.mjs';

process.exitCode = await runCommandLine(process.argv.slice(2), stages);
