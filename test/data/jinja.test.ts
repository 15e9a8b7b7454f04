import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { TemplateFault } from '../../src/data/jinja/fault.ts';
import { strftime } from '../../src/data/jinja/strftime.ts';
import { JinjaTemplate } from '../../src/data/jinja/template.ts';

const path = process.env.JINJA_CASES ?? new URL('fixtures/jinja-cases.json', import.meta.url);
/** Templates, and what Python renders of them; null where it raises. */
const { context, cases } = JSON.parse(readFileSync(path, 'utf8')) as {
  context: Record<string, unknown>;
  cases: [template: string, rendered: string | null][];
};

function faultOf(work: () => unknown): TemplateFault {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(TemplateFault);
    return error as TemplateFault;
  }
  throw new Error('nothing was thrown');
}

const rendered = (template: string, variables: Record<string, unknown> = context): string =>
  new JinjaTemplate(template).render(variables).text;

describe('Python’s jinja2', () => {
  test('renders every snippet alike, or it is refused by name', () => {
    const refused = new Set<string>();
    for (const [template, expected] of cases) {
      let text: string | null = null;
      try {
        text = rendered(template);
      } catch (error) {
        expect(error, template).toBeInstanceOf(TemplateFault);
        const { message } = error as TemplateFault;
        if (expected !== null) expect(message, template).toMatch(/is not supported$/);
        if (expected !== null) refused.add(message);
        continue;
      }
      expect([template, text]).toEqual([template, expected]);
    }
    expect(refused.size).toBeLessThan(30);
  });
});

describe('what a template cannot do', () => {
  test.each([
    ['a\n{{ x | nosuch }}', 'the filter "nosuch" is not supported', 2],
    ['{% if x is nosuch %}{% endif %}', 'the test "nosuch" is not supported', 1],
    ['\n\n{% include "a" %}', 'the tag {% include %} is not supported', 3],
    ['{{ x.encode() }}', 'the method .encode() is not supported', 1],
    ['{{ x\n.append(1) }}', 'the method .append() is not supported', 2],
    ['{{ [] | map("nosuch") }}', 'the filter "nosuch" is not supported', 1],
    ['{% for x in y %}\na', 'the template ends where {% endfor %} is expected', 1],
    ['a\n{% endif %}', 'the tag {% endif %} is not supported', 2],
    ['{{ 1 +\n}}', 'there is "}}" where an expression is expected', 2],
    ['x\n{{ "a', 'a string is not closed', 2],
    ['{{ (1 }}', '"}" has no opening bracket', 1],
    ['{% break %}', '{% break %} is outside of a loop', 1],
    ['{{ a ? b }}', 'the character "?" is not expected here', 1],
    ['x'.repeat(1_000_001), 'has 1,000,001 characters; 1,000,000 are allowed', undefined],
    [`{{ ${'('.repeat(9999)}1${')'.repeat(9999)} }}`, 'nesting deeper than 100 is not supported', 1],
    [`{{ 1${' + 1'.repeat(9999)} }}`, 'an expression of more than 500 parts is not supported', 1],
    [`{{ ${'-'.repeat(9999)}1 }}`, 'nesting deeper than 100 is not supported', 1],
    [`${'{% if 1 %}'.repeat(9999)}`, 'nesting deeper than 100 is not supported', 1],
    [`{{ x${'.a'.repeat(9999)} }}`, 'an expression of more than 500 parts is not supported', 1],
  ])('is said when it is read, with its line: %#', (template, message, line) => {
    const fault = faultOf(() => new JinjaTemplate(template));
    expect([fault.message, fault.line]).toEqual([message, line]);
  });

  test('a comment is no construct', () => {
    expect(rendered('{# {% break %} {{ x | nosuch }} #}a')).toBe('a');
  });

  test.each([
    ['a\n{{ raise_exception("no") }}', 'raised', 'no', 2],
    ['{{ 1 }}\n{{ missing.x }}', 'fault', '"missing" is not defined', 2],
    ['{% for m in messages %}\n{{ m.content + none }}{% endfor %}', 'fault', 'str + NoneType cannot be computed', 2],
  ])('is said when it is rendered, with its line: %#', (template, kind, message, line) => {
    const fault = faultOf(() => rendered(template));
    expect([fault.kind, fault.message, fault.line]).toEqual([kind, message, line]);
  });

  test.each([
    '{% for i in range(10**9) %}{% endfor %}',
    '{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}',
    '{% for i in range(99999) %}{% for j in range(99999) if j < 0 %}{% endfor %}{% endfor %}',
    '{% set ns = namespace(x="a") %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}',
    '{% set ns = namespace(x="a") %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}',
    '{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}',
    '{% set ns = namespace(x=2) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}',
    "{% set ns = namespace(x='aa') %}{% for i in range(99) %}{% set ns.x = ns.x.replace('a', ns.x) %}{% endfor %}",
    '{% set ns = namespace(x=[1]) %}{% for i in range(30) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}',
    '{% set ns = namespace(x=[1]) %}{% for i in range(30) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}',
    '{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(30) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}',
    '{% set ns = namespace(x=[1]) %}{% for i in range(300) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}',
    '{% set ns = namespace() %}{% set ns.x = [ns] %}{% for i in range(300) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x | tojson }}',
    "{{ 'a' * 10**9 }}",
    '{{ [0] * 10**9 }}',
    '{{ 10 ** (10 ** 9) }}',
    "{{ 'a'.center(10**9) }}{{ 'a'.zfill(10**9) }}",
    "{{ '%999999999d' % 1 }}",
    "{{ '{:999999999}'.format(1) }}",
    '{{ "x" | indent(10**9) }}',
    '{% set x = "ab" * 1999999 %}{% for i in range(99999) %}{% set y = x | upper %}{% endfor %}',
    '{% set x = "ab" * 1999999 %}{% for i in range(99999) %}{% set y = x.find("c") %}{% endfor %}',
    '{% set x = "ab" * 1999999 %}{% for i in range(99999) %}{% set y = "c" in x or x == x ~ "" %}{% endfor %}',
    '{% set x = "😀" * 1999999 %}{% for i in range(99999) %}{% set y = x[-1] %}{% endfor %}',
    '{% set x = "😀" * 1999999 %}{% for i in range(99999) %}{% for c in x %}{% break %}{% endfor %}{% endfor %}',
    '{% set x = range(99999) | list %}{% for i in x %}{% set y = x[1:] | sort | first %}{% endfor %}',
    '{{ [1] | tojson(indent=10**9) }}',
    '{{ [1] | batch(10**9, 1) | list }}',
    '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}',
    '{% macro f(x) %}{{ f([x, x]) }}{{ f(x) }}{% endmacro %}{{ f(1) }}',
    '{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}',
    '{% for x in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}',
    '{% for i in range(99999) %}{{ "0123456789" * 1000 }}{% endfor %}',
    "{% for i in range(99999) %}{{ ('a' * 9999).split('a') | length }}{% endfor %}",
    "{% for i in range(99999) %}{{ ('a' * 99999) | upper | length }}{% endfor %}",
  ])('ends in bounded time and memory: %s', (template) => {
    expect(faultOf(() => rendered(template)).line).toBe(1);
  });

  test('reach JavaScript', () => {
    const names = ['constructor', '__proto__', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', '__class__'];
    for (const object of [
      "''",
      'messages',
      'd',
      '1',
      'none',
      'namespace()',
      'range(1)',
      '(1,)',
      'raise_exception',
      'missing_name',
    ]) {
      for (const name of names) {
        const [asName, asKey] = [`${object}.${name}`, `${object}['${name}']`];
        const isMissing = object === 'missing_name';
        for (const template of [asName, asKey].map((expression) => `{{ ${expression} }}`)) {
          if (isMissing) expect(() => rendered(template)).toThrow(TemplateFault);
          else expect(rendered(template), template).toBe('');
        }
      }
    }
    for (const name of names) expect(rendered(`{{ ${name} }}`), name).toBe('');
    const own = JSON.parse('{"m": {"__proto__": "a", "constructor": "b"}}');
    expect(rendered("{{ m.__proto__ }}{{ m['constructor'] }}{{ m.toString }}", own)).toBe('ab');
    expect(
      rendered(
        "{% set __proto__ = 1 %}{{ __proto__ }}{{ {'__proto__': 2}.__proto__ }}{{ dict(__proto__=3).__proto__ }}",
      ),
    ).toBe('123');
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  test('be broken so that anything but a fault of ours comes of it', () => {
    const parts = cases.map(([template]) => template).filter((template) => template.length > 20);
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return Math.floor((seed / 2147483648) * below);
    };
    for (let i = 0; i < 3000; i++) {
      const template = parts[random(parts.length)]!;
      const at = random(template.length);
      const other = parts[random(parts.length)]!;
      const inserted = [other.slice(random(other.length)), '', '{', '%}', '"', '\\', '😀', '\ud800', '[', '|', '\0'][
        random(11)
      ]!;
      const broken = template.slice(0, at) + inserted + template.slice(at + random(4));
      try {
        rendered(broken);
      } catch (error) {
        expect(error, broken).toBeInstanceOf(TemplateFault);
        expect((error as TemplateFault).line, broken).toBeGreaterThan(0);
      }
    }
  });
});

describe('marks of what is generated', () => {
  test('are places in the text', () => {
    const template = '😀{% for m in messages %}{% generation %}{{ m.role }}{% endgeneration %}, {% endfor %}';
    const { text, generated } = new JinjaTemplate(template).render(context);
    expect(generated!.map(({ start, end }) => text.slice(start, end))).toEqual(['system', 'user', 'assistant']);
  });

  test('are unknown within a macro, whose text is written later', () => {
    const template = '{% macro f() %}{% generation %}a{% endgeneration %}{% endmacro %}{{ f() }}';
    expect(new JinjaTemplate(template).render({})).toEqual({ text: 'a', generated: undefined });
  });
});

test('times are written as Python writes them on Linux', () => {
  const now = new Date(2024, 1, 3, 15, 4, 5);
  const format = '%a %A %w %d %b %B %m %y %Y %H %I %p %M %S %f %j %U %W %% %-d %-I %c %x %X %F %T %D %e';
  expect(strftime(now, format)).toBe(
    'Sat Saturday 6 03 Feb February 02 24 2024 15 03 PM 04 05 000000 034 04 05 % 3 3 Sat Feb  3 15:04:05 2024 02/03/24 15:04:05 2024-02-03 15:04:05 02/03/24  3',
  );
  expect(() => strftime(now, '%Q')).toThrow('"%Q" in strftime_now is not supported');
});
