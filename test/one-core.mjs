/**
 * Tests run beside each other, one worker to a core, and so do the programs that they start. Here every one of them
 * believes that its machine has a single core: threads of several engines that wait for each other would only take
 * turns. What a test says of threads itself holds, and the thread sanitizer sees as many as the machine has cores.
 */
import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';

if (process.env.MIXTUNE_SANITIZE !== 'thread') {
  os.availableParallelism = () => 1;
  syncBuiltinESMExports();
}
