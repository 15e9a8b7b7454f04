#!/usr/bin/env node
import { stages } from '../stages/index.ts';
import { runCommandLine } from './program.ts';

process.exitCode = await runCommandLine(process.argv.slice(2), stages);
