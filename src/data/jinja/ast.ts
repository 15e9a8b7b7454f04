/** Expressions and statements of a template, named as in Python's jinja2; `line` is 1-based. */
export type Expression = { line: number } & (
  | { kind: 'const'; value: null | boolean | bigint | number | string }
  | { kind: 'name'; name: string }
  | { kind: 'list' | 'tuple'; items: Expression[] }
  | { kind: 'dict'; items: [Expression, Expression][] }
  | { kind: 'attribute'; object: Expression; name: string }
  | { kind: 'item'; object: Expression; index: Expression }
  | { kind: 'slice'; start?: Expression | undefined; stop?: Expression | undefined; step?: Expression | undefined }
  | ({ kind: 'call'; callee: Expression } & Arguments)
  | ({ kind: 'filter'; name: string; input: Expression | undefined } & Arguments)
  | ({ kind: 'test'; name: string; input: Expression } & Arguments)
  | { kind: 'unary'; operator: 'not' | '-' | '+'; operand: Expression }
  | { kind: 'binary'; operator: BinaryOperator; left: Expression; right: Expression }
  | { kind: 'and' | 'or'; left: Expression; right: Expression }
  | { kind: 'concat'; parts: Expression[] }
  | { kind: 'compare'; first: Expression; rest: { operator: CompareOperator; operand: Expression }[] }
  | { kind: 'condition'; test: Expression; then: Expression; otherwise: Expression | undefined }
);

export type BinaryOperator = '+' | '-' | '*' | '/' | '//' | '%' | '**';
export type CompareOperator = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | 'not in';

/** Arguments of a call, filter or test; `rest` and `keywords` are those after `*` and `**`. */
export interface Arguments {
  positional: Expression[];
  named: [string, Expression][];
  rest?: Expression | undefined;
  keywords?: Expression | undefined;
}

export type Target = { line: number } & (
  | { kind: 'name'; name: string }
  | { kind: 'tuple'; items: Target[] }
  | { kind: 'namespace'; name: string; attribute: string }
);

export interface Parameter {
  name: string;
  fallback: Expression | undefined;
}

export type Filter = Extract<Expression, { kind: 'filter' }>;
export type Call = Extract<Expression, { kind: 'call' }>;

export type Statement = { line: number } & (
  | { kind: 'data'; text: string }
  | { kind: 'output'; value: Expression }
  | ({ kind: 'for'; target: Target; iterable: Expression; test: Expression | undefined; recursive: boolean } & Loop)
  | { kind: 'if'; branches: { test: Expression; body: Statement[] }[]; otherwise: Statement[] }
  | { kind: 'set'; target: Target; value: Expression }
  | { kind: 'set-block'; target: Target; filter: Filter | undefined; body: Statement[] }
  | { kind: 'with'; values: { target: Target; value: Expression }[]; body: Statement[] }
  | { kind: 'macro'; name: string; parameters: Parameter[]; body: Statement[] }
  | { kind: 'call-block'; call: Call; parameters: Parameter[]; body: Statement[] }
  | { kind: 'filter-block'; filter: Filter; body: Statement[] }
  | { kind: 'generation'; body: Statement[] }
  | { kind: 'break' | 'continue' }
);

interface Loop {
  body: Statement[];
  otherwise: Statement[];
}
export type ForStatement = Extract<Statement, { kind: 'for' }>;
