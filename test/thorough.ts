import { inject } from 'vitest';

declare module 'vitest' {
  export interface ProvidedContext {
    thorough?: boolean;
  }
}

/** Whether there is time for more of what `npm test` tries a little of: `npm run test:slow`. */
export const thorough = inject('thorough') ?? false;
