import type { Backend, Precision } from './backend.ts';
import { PortableBackend } from './portable.ts';

export async function openBackend(_options: {
  backend?: 'auto' | 'native' | 'portable';
  precision?: 'auto' | Precision;
  threads?: number;
}): Promise<Backend> {
  return new PortableBackend('f32');
}
