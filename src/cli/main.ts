#!/usr/bin/env node
import { saveSignals } from '../pipeline/stop.ts';

// Before everything else is loaded, because by default these signals open Node's debugger or end the process.
for (const signal of saveSignals) process.on(signal, () => undefined);
const { stages } = await import('../stages/index.ts');
const { runCommandLine } = await import('./program.ts');
process.exitCode = await runCommandLine(process.argv.slice(2), stages);
