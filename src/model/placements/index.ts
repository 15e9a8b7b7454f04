import { mix } from './mix.ts';
import type { Placement } from './placement.ts';
import { post } from './post.ts';
import { pre } from './pre.ts';

/** Every norm placement. What a person can choose, and what files are compared with, is made from this list. */
export const placements: readonly Placement[] = [pre, post, mix];
