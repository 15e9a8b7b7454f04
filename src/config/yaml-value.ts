import { type Document, isAlias, isMap, isScalar, isSeq, type Node, type Pair } from 'yaml';
import { type Problem, RequestError } from '../errors.ts';

/** How deeply a document may nest lists and maps, aliases expanded. */
export const maxDepth = 64;

/** How many values the aliases of a document may expand to in total. */
const maxCopied = 100_000;

/**
 * The plain value of a document of at most `maxDepth` levels. What YAML allows and a config does not comes back as
 * problems.
 */
export function plainValue(
  document: Document.Parsed,
  lineAt: (offset: number) => number,
): { value: unknown; problems: Problem[] } {
  const problems: Problem[] = [];
  const anchors = new Map<string, { value: unknown; isOpen: boolean }>();
  let copied = 0;

  const lineOf = (node: Node) => (node.range ? { line: lineAt(node.range[0]) } : {});

  const read = (node: Node | null, depth: number): unknown => {
    if (node === null) return null;
    if (isAlias(node)) return aliased(node, node.source, depth);
    const anchor = 'anchor' in node && node.anchor ? { value: undefined as unknown, isOpen: true } : undefined;
    if (anchor) anchors.set((node as { anchor: string }).anchor, anchor);
    const value = isMap(node)
      ? mapOf(node.items as Pair<Node, Node | null>[], depth + 1)
      : isSeq(node)
        ? (node.items as Node[]).map((item) => read(item, depth + 1))
        : scalarOf(node);
    if (anchor) Object.assign(anchor, { value, isOpen: false });
    return value;
  };

  const scalarOf = (node: Node): unknown => {
    const value = isScalar(node) ? node.value : null;
    // No path or name can contain U+0000; functions that are given one fail with unhelpful messages.
    if (typeof value === 'string' && value.includes('\0')) {
      problems.push({ message: 'a text contains the character U+0000', ...lineOf(node) });
    }
    return value;
  };

  const mapOf = (pairs: readonly Pair<Node, Node | null>[], depth: number): Record<string, unknown> => {
    const entries = new Map<string, unknown>();
    for (const { key, value } of pairs) {
      const name = isScalar(key) ? String(key.value ?? '') : undefined;
      const problem =
        name === undefined
          ? 'a key must be text'
          : name?.includes('\0')
            ? 'a key contains the character U+0000'
            : name === '__proto__'
              ? 'the name `__proto__` cannot be used'
              : entries.has(name)
                ? `key \`${name}\` appears twice`
                : undefined;
      if (problem) problems.push({ message: problem, ...lineOf(key) });
      else entries.set(name!, read(value, depth));
    }
    return Object.fromEntries(entries);
  };

  /** Aliases are copied, so that a change to one does not change the others. */
  const aliased = (node: Node, name: string, depth: number): unknown => {
    const anchor = anchors.get(name);
    if (anchor && !anchor.isOpen) return copyOf(anchor.value, depth, node);
    const message = anchor
      ? `\`*${name}\` is inside the value that it refers to`
      : `there is no \`&${name}\` before \`*${name}\``;
    throw new RequestError({ message, ...lineOf(node) });
  };

  const copyOf = (value: unknown, depth: number, alias: Node): unknown => {
    if (++copied > maxCopied) {
      throw new RequestError({ message: `aliases expand to more than ${maxCopied} values`, ...lineOf(alias) });
    }
    if (typeof value !== 'object' || value === null) return value;
    if (depth >= maxDepth) throw new RequestError({ message: tooDeep, ...lineOf(alias) });
    if (Array.isArray(value)) return value.map((item) => copyOf(item, depth + 1, alias));
    return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, copyOf(child, depth + 1, alias)]));
  };

  return { value: read(document.contents, 0), problems };
}

export const tooDeep = `lists and maps are nested more than ${maxDepth} levels deep`;
