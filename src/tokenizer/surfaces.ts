import { bytesOf } from './byte-alphabet.ts';
import type { Component } from './components.ts';

/** The bytes that a vocabulary entry represents in a text, apart from spaces that a decoder adds or removes. */
export function tokenSurface(token: string, decoder: Component | null): Uint8Array {
  const steps = decoderSteps(decoder);
  if (steps.some(({ type }) => type === 'ByteLevel')) return bytesOf(token);
  const byte = /^<0x([0-9A-F]{2})>$/i.exec(token);
  if (byte && steps.some(({ type }) => type === 'ByteFallback')) return Uint8Array.of(Number.parseInt(byte[1]!, 16));
  return new TextEncoder().encode(steps.reduce(undoStep, token));
}

function decoderSteps(decoder: Component | null): Component[] {
  if (decoder === null) return [];
  return decoder.type === 'Sequence' ? (decoder.decoders as Component[]).flatMap(decoderSteps) : [decoder];
}

function undoStep(token: string, step: Component): string {
  switch (step.type) {
    case 'Metaspace':
      return token.replaceAll((step.replacement as string | undefined) ?? '▁', ' ');
    case 'Replace': {
      const from = (step.pattern as { String?: string }).String;
      return from === undefined ? token : token.replaceAll(from, step.content as string);
    }
    case 'WordPiece': {
      const prefix = (step.prefix as string | undefined) ?? '##';
      return token.startsWith(prefix) ? token.slice(prefix.length) : token;
    }
    case 'BPEDecoder': {
      const suffix = (step.suffix as string | undefined) ?? '';
      return token.endsWith(suffix) ? token.slice(0, token.length - suffix.length) : token;
    }
    default:
      return token;
  }
}
