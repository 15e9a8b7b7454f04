// Writes docs/config.md: npm run docs
import { writeFileSync } from 'node:fs';
import { configReference } from '../dist/pipeline/reference.js';
import { stages } from '../dist/stages/index.js';

writeFileSync(new URL('config.md', import.meta.url), configReference(stages));
