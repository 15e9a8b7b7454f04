import { deepnorm } from './deepnorm.ts';
import { hybrid } from './hybrid.ts';
import { lns } from './lns.ts';
import { mix } from './mix.ts';
import { mixReversed } from './mix-reversed.ts';
import { peri } from './peri.ts';
import type { Placement } from './placement.ts';
import { post } from './post.ts';
import { pre } from './pre.ts';
import { sandwich } from './sandwich.ts';

/** Every norm placement. What a person can choose, and what files are compared with, is made from this list. */
export const placements: readonly Placement[] = [pre, post, mix, mixReversed, lns, sandwich, peri, deepnorm, hybrid];
