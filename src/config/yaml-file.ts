import { isCollection, isMap, isNode, LineCounter, parseDocument } from 'yaml';
import { RequestError } from '../errors.ts';

export type Path = readonly (string | number)[];

/** A YAML document that still knows where each value stands. */
export interface YamlFile {
  /** As the person named it, for messages. */
  name: string;
  value: unknown;
  /** 1-based line of the key at the path, or of its nearest parent that exists. */
  lineOf(path: Path): number | undefined;
}

/** Parses YAML 1.2; syntax errors and repeated keys are a RequestError that lists all of them with their lines. */
export function parseYamlFile(text: string, name: string): YamlFile {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  if (document.errors.length > 0) {
    throw new RequestError(
      document.errors.map(({ message, pos }) => ({ message, line: lineCounter.linePos(pos[0]).line })),
      name,
    );
  }
  const lineAt = (offset: number | undefined) => (offset === undefined ? undefined : lineCounter.linePos(offset).line);
  return { name, value: document.toJS(), lineOf: (path) => lineAt(offsetOf(document.contents, path)) };
}

/** Offset of the key (in a map) or the item (in a list) that the path leads to, as far as the path exists. */
function offsetOf(root: unknown, path: Path): number | undefined {
  let node = root;
  let offset = isNode(root) ? root.range?.[0] : undefined;
  for (const step of path) {
    if (!isCollection(node)) break;
    const key = isMap(node)
      ? node.items.find((pair) => isNode(pair.key) && String(pair.key) === String(step))?.key
      : undefined;
    const child = node.get(step, true);
    const place = key ?? child;
    if (!isNode(place)) break;
    offset = place.range?.[0] ?? offset;
    node = child;
  }
  return offset;
}
