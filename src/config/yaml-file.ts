import {
  Composer,
  type CST,
  type Document,
  isCollection,
  isMap,
  isNode,
  LineCounter,
  Parser,
  type YAMLMap,
} from 'yaml';
import { type Problem, RequestError } from '../errors.ts';
import { maxDepth, plainValue, tooDeep } from './yaml-value.ts';

export type Path = readonly (string | number)[];

/** A YAML document that remembers the line of each value. */
export interface YamlFile {
  /** The file's name as the user gave it, for messages. */
  name: string;
  value: unknown;
  /** 1-based line of the key at a path, or of its closest existing parent. */
  lineOf(path: Path): number | undefined;
}

/** Parses YAML 1.2. @throws RequestError with all problems of syntax and keys, each with its line */
export function parseYamlFile(text: string, name: string): YamlFile {
  const { document, errors, lineAt } = parseYaml(text, name);
  if (!document) throw new RequestError(errors, name);
  const { value, problems } = inFile(name, () => plainValue(document, lineAt));
  if (problems.length > 0) throw new RequestError(problems, name);
  const offsetOf = offsets(document.contents);
  const lineOf = (path: Path) => {
    const offset = offsetOf(path);
    return offset === undefined ? undefined : lineAt(offset);
  };
  return { name, value, lineOf };
}

/**
 * Parses a single value as YAML, or returns the text itself if it is not YAML, so that any path can be typed without
 * quotes. `where` names the value in messages.
 * @throws RequestError if the value is YAML that a config may not contain
 */
export function yamlValue(text: string, where: string): unknown {
  const { document, lineAt } = parseYaml(text, where);
  if (!document) return text;
  const { value, problems } = inFile(where, () => plainValue(document, lineAt));
  if (problems.length > 0) throw new RequestError(problems, where);
  return value;
}

interface Parsed {
  /** Absent if there are errors. */
  document?: Document.Parsed;
  errors: Problem[];
  lineAt(offset: number): number;
}

/** Composes a document with the `yaml` package, after checking that its tokens are not nested too deeply for it. */
function parseYaml(text: string, name: string): Parsed {
  const lineCounter = new LineCounter();
  const lineAt = (offset: number) => lineCounter.linePos(offset).line;
  const tokens = tokensOf(text, lineCounter);
  if (!tokens) throw new RequestError({ message: tooDeep }, name);
  const deep = tokenBelow(tokens);
  if (deep !== undefined) throw new RequestError({ message: tooDeep, line: lineAt(deep) }, name);
  // The package's own check for unique keys compares each with all others.
  const composer = new Composer({ uniqueKeys: false });
  const [document, second] = [...composer.compose(tokens, true, text.length)];
  const errors = document!.errors.map(({ message, pos }) => ({ message, line: lineAt(pos[0]) }));
  if (second) errors.push({ message: 'a second document begins; one is expected', line: lineAt(second.range[0]) });
  return errors.length > 0 ? { errors, lineAt } : { document: document!, errors, lineAt };
}

/** Undefined if the text is nested so deeply that the parser runs out of stack. */
function tokensOf(text: string, lineCounter: LineCounter): CST.Token[] | undefined {
  try {
    return [...new Parser(lineCounter.addNewLine).parse(text)];
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Offset of the first token that is nested more deeply than `maxDepth`. */
function tokenBelow(tokens: readonly CST.Token[]): number | undefined {
  const waiting = tokens.map((token) => ({ token, depth: 0 }));
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { token, depth } = next;
    if (token.type === 'document') {
      if (token.value) waiting.push({ token: token.value, depth });
    } else if ('items' in token) {
      if (depth >= maxDepth) return token.offset;
      for (const { key, value } of token.items) {
        if (key) waiting.push({ token: key, depth: depth + 1 });
        if (value) waiting.push({ token: value, depth: depth + 1 });
      }
    }
  }
  return undefined;
}

/** Finds the offset of the key (in a map) or the item (in a list) at a path, or at as much of the path as exists. */
function offsets(root: unknown): (path: Path) => number | undefined {
  const keys = new WeakMap<YAMLMap, ReadonlyMap<string, YAMLMap['items'][number]>>();
  const pairOf = (map: YAMLMap, name: string) => {
    const known = keys.get(map) ?? new Map(map.items.map((pair) => [String(pair.key), pair]));
    keys.set(map, known);
    return known.get(name);
  };
  return (path) => {
    let node = root;
    let offset = isNode(root) ? root.range?.[0] : undefined;
    for (const step of path) {
      if (!isCollection(node)) break;
      const pair = isMap(node) ? pairOf(node, String(step)) : undefined;
      const child = pair ? pair.value : node.get(step, true);
      const place = pair?.key ?? child;
      if (!isNode(place)) break;
      offset = place.range?.[0] ?? offset;
      node = child;
    }
    return offset;
  };
}

/** Runs `read` and adds the file's name to its RequestErrors. */
function inFile<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof RequestError ? new RequestError(error.problems, name) : error;
  }
}
