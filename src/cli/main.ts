#!/usr/bin/env node
import { saveSignals } from '../pipeline/stop.ts';

// Before everything else is loaded: on these Node would open its debugger and end.
for (const signal of saveSignals) process.on(signal, () => undefined);
const { stages } = await import('../stages/index.ts');
const { runCommandLine } = await import('./program.ts');
process.exitCode = await runCommandLine(process.argv.slice(2), stages);
