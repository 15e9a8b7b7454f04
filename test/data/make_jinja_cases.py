"""Writes fixtures/jinja-cases.json: template snippets and what Python's jinja2 makes of them, set up as transformers does.
Of the tables of operators, tests, methods and filters it takes every eleventh; with a path it writes all of them there, to be
compared by hand (JINJA_CASES=path npx vitest run test/data/jinja.test.ts). Needs transformers: python make_jinja_cases.py [PATH]"""
import itertools, json, os, sys
from transformers.utils.chat_template_utils import _compile_jinja_template

context = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": " Hi <b> & 'you' \"there\" "},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\n  Ho\n", "n": 3},
    ],
    "t": "  \n Grüße 😀, a-b_c! \n",
    "emoji": "a😀b😀c",
    "lines": "one\r\ntwo\n\nthree\x0bfour\x85five",
    "odd": "\ufeff\u200b x \u2028\x1c",
    "none": None,
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"b": [1, 2.5, True, None, "é\u2028</x>"], "a": {}}}}],
    "numbers": [3, 1, 2, 2],
    "words": ["banana", "Apple", "cherry", "apple"],
    "people": [{"name": "Bo", "age": 3, "at": {"x": [5, 6]}}, {"name": "al", "age": 1}, {"name": "Cy", "age": 3, "at": {"x": [7]}}],
    "d": {"z": 1, "B": [2], "a": None, "items": "own", "_p": 5},
    "f": 2.5,
    "i": 7,
    "deep": {"a": {"b": {"c": "found"}}},
    "yes": True,
}

literals = ["1", "-3", "0", "2.5", "-0.0", "1e20", "1e-7", "'ab'", "''", "true", "none", "[1, 'a']", "[]", "(1, 2)", "()", "(1,)",
            "{'a': 1, 2: none}", "{}", "missing", "range(3)", "'é'", "10", "messages", "'😀'", "0.1", "1_000", "123456789012345678901234567890"]
binary = ["+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "~", "and", "or"]
expressions = [f"{a} {o} {b}" for o in binary for a, b in itertools.product(literals[:20], repeat=2) if (a, b) != ("1e20", "1e20")]
expressions += literals + [f"not {x}" for x in literals] + [f"-{x}" for x in literals]

tests = ["defined", "undefined", "none", "boolean", "false", "true", "integer", "float", "number", "string", "mapping", "sequence", "iterable",
         "callable", "lower", "upper", "odd", "even", "divisibleby 3", "in [1, 'ab']", "sameas true", "eq 1", "ne(1)", "gt 0", "escaped", "not string", "equalto('ab')"]
expressions += [f"{x} is {t}" for t in tests for x in literals]
expressions += [f"{x} is {t}" for t in tests for x in ("'AB'", "'aB1'", "messages | map('upper')", "x.y")]

strings = ["t", "emoji", "lines", "odd", "'xxabcxx'", "'a</think>b</think>c'", "''", "' a  b '", "'ABC def'", "'12'", "'Ⅷ'", "'²'", "'ß'", "'ǆ'", "'ΑΣ'"]
methods = ["strip()", "lstrip()", "rstrip()", "strip('x')", "strip('\\n')", "lstrip('\\n ')", "rstrip('😀c')", "strip('ac😀')", "strip(none)", "split()", "split(none, 1)",
           "rsplit(none, 1)", "split('</think>')", "split('</think>', 1)", "rsplit('</think>', 1)", "rsplit('a')", "split(' ', 0)", "split('😀')", "split(sep=',')", "split('a', maxsplit=1)",
           "split('')", "splitlines()", "splitlines(true)", "partition('a')", "rpartition('a')", "partition('zz')", "rpartition('zz')", "upper()", "lower()", "capitalize()", "title()",
           "find('b')", "rfind('b')", "find('zz')", "index('c')", "rindex('zz')", "find('b', 2)", "find('b', -3, -1)", "count('a')", "count('')", "count('😀', 2)", "find('')", "find('', 99)",
           "startswith('a')", "startswith(('x', ' '))", "endswith('c')", "endswith(['c'])", "startswith('b', 2)", "endswith('b', 0, 3)", "replace('a', 'XX')", "replace('a', '', 1)",
           "replace('', '-')", "replace('', '-', 2)", "replace('b', '😀')", "join(['1', '2'])", "join([])", "join('abc')", "join([1])", "isspace()", "isalpha()", "isalnum()", "isdigit()",
           "isdecimal()", "isupper()", "islower()", "isascii()", "center(20)", "center(21, '*')", "ljust(20, '.')", "rjust(20)", "zfill(8)", "removeprefix('xx')", "removesuffix('xx')",
           "removesuffix('')", "format()", "swapcase()", "encode()", "expandtabs()", "strip('a', 'b')", "nothing()", "strip"]
expressions += [f"{s}.{m}" for m in methods for s in strings]
expressions += [f"{s}[{i}]" for s in ["emoji", "'abcdef'", "numbers", "(1, 2, 3)", "''", "range(5)"] for i in
                ["0", "-1", "9", "1:", ":-1", "::-1", "::2", "4:1:-2", "-3:", ":99", "2:1", "::0", "true", "'a'", "1.0", "none", "none:2", ":"]]

filters = ["length", "count", "string", "trim", "trim('a-')", "upper", "lower", "title", "capitalize", "list", "first", "last", "join", "join(', ')", "join('|') | upper", "tojson",
           "tojson(indent=2)", "tojson(indent='\t')", "tojson(ensure_ascii=true)", "tojson(separators=(',', ':'))", "tojson(sort_keys=true)", "tojson(none, 2)", "int", "float", "int(5)", "abs", "round",
           "round(1)", "round(1, 'floor')", "default('x')", "d('x', true)", "default('x', boolean=true)", "reverse | list", "reverse", "sort", "sort(reverse=true)", "unique | list", "sum", "min", "max",
           "safe", "e", "escape", "replace('a', 'b')", "replace(' ', '')", "items | list", "dictsort", "dictsort(true)", "dictsort(by='value')", "map('upper') | list", "map('string') | join", "select | list",
           "reject('none') | list", "select('string') | list", "batch(2) | list", "batch(3, 'x') | list", "indent", "indent(2, true)", "indent(2, first=true, blank=true)", "truncate(9)", "truncate(9, true)",
           "center(15)", "wordcount", "forceescape", "format(1)", "map('upper')", "random", "nosuch", "attr('x')", "pprint", "urlencode"]
inputs = ["t", "emoji", "lines", "'ab'", "'  x '", "'12'", "' -4_2 '", "'2.7e1'", "'nan'", "numbers", "words", "people", "d", "tools", "messages", "none", "missing", "f", "i", "-2.5", "0.5", "1.5", "2.675",
          "true", "(3, 1)", "[]", "{}", "range(4)", "['b', none, 1.0, {'k': 'é'}]", "1e16", "123456.789", "'foo bar baz qux'"]
expressions += [f"{x} | {f}" for f in filters for x in inputs]

tables = expressions if len(sys.argv) > 1 else expressions[::11]
expressions = tables + [
    "people | map(attribute='name') | join(', ')", "people | map(attribute='at.x.0') | list", "people | map(attribute='at', default='?') | list", "people | selectattr('at') | list | length",
    "people | selectattr('age', 'equalto', 3) | map(attribute='name') | list", "people | rejectattr('age', 'gt', 2) | list", "people | selectattr('at', 'defined') | list | length",
    "people | sort(attribute='age,name') | map(attribute='name') | list", "people | sort(attribute='age', reverse=true) | map(attribute='name') | list", "people | sum(attribute='age')",
    "people | min(attribute='age')", "people | max(attribute='name')", "people | unique(attribute='age') | map(attribute='name') | list", "words | sort(case_sensitive=true)", "words | unique | list",
    "messages | selectattr('role', 'in', ['user', 'assistant']) | list | length", "messages | map('length') | list", "words | map('replace', 'a', 'o') | join", "words | join(attribute=0)",
    "numbers | select('odd') | list", "numbers | select('divisibleby', 2) | list", "numbers | reject('eq', 2) | list", "messages | first", "messages[0].items()", "messages[0].keys() | list", "messages[0].values() | join('-')",
    "d.items", "d['items']", "d.items() | list", "d._p", "d.get('z')", "d.get('q')", "d.get('q', 4)", "d.nothing", "d['nothing']", "d.keys()", "d.update({})", "d.pop('z')", "numbers.append(1)", "numbers.index(2)", "numbers.count(2)",
    "numbers.index(9)", "f[::-1] | sum", "t.isdigit(1)", "t.upper(1)", "d.items(1)", "numbers | count(1)", "t | upper(1)", "none[1:] is defined", "d[1:] is defined", "messages.__proto__", "''.constructor", "''.__class__", "d.__class__", "d.constructor", "d['__proto__']", "messages.length", "messages['length']", "t.length", "i.constructor", "namespace(a=1).a",
    "namespace(a=1).constructor", "namespace(_a=1)", "namespace({'a': 2}).a", "dict(a=1, b=[2])", "dict([('a', 1)])", "dict(d, z=3)", "range(5) | list", "range(2, 9, 3) | list", "range(5, 0, -2) | list", "range(5)", "range(1, 5, 2)",
    "range(3) == range(0, 3)", "range(200000)", "5 in range(9)", "range(3)[1]", "'%s of %d' % ('a', 3)", "'%5.2f|%-6s|%06d|%+d|%x|%r|%%' % (3.14159, 'ab', 42, 7, 255, 'q')", "'%(a)s-%(b)05.1f' % {'a': 1, 'b': 2.25}", "'%s' % [1]",
    "'%s %s' % ('a',)", "'%s' % ('a', 'b')", "'%d' % 'x'", "'%d' % 3.9", "'%s'", "'%e %g %G' % (12345.678, 0.00001234, 1e20)", "'%10s|' % '😀'", "'%.2s' % 'abc'", "'%q' % 1", "'%s' % none", "'%s' % missing", "'{}-{}'.format('a', 1)",
    "'{1}{0}'.format('a', 'b')", "'{x}{y!r}'.format(x=1, y='q')", "'{:>8.3f}|{:<5}|{:^7}|{:08d}|{:+}|{:,}|{:%}|{:x}|{:#x}|{:e}'.format(3.14159, 'ab', 'mid', 42, 7, 1234567, 0.25, 255, 255, 12345.678)", "'{:*^9}'.format('😀')",
    "'{0[a]}{0[b][1]}'.format({'a': 1, 'b': [1, 2]})", "'{{}}'.format()", "'{}'.format()", "'{a}'.format(b=1)", "'{:5}|{:<5}|{!s:>4}'.format(1, 2, 3)", "'{:.2}'.format('abc')", "'{:d}'.format('x')", "'{:.3g}|{:g}|{:G}'.format(1234.5, 0.00001, 1e-10)",
    "1 < 2 < 3", "3 > 2 > 2", "1 == 1.0 == true", "1 < 'a'", "'a' < 'b' <= 'b'", "[1, 2] < [1, 3]", "(1, 'a') < (1, 'b')", "'B' < 'a'", "'a' in d", "'items' in d", "2 in numbers", "'ü' in t", "'' in ''", "none in [none]", "missing in [1]", "1 in missing", "'x' in none",
    "'a' if yes else 'b'", "'a' if missing", "('a' if missing) ~ 'x'", "1 if 0 else 2 if 0 else 3", "missing.x", "missing['x']", "missing()", "missing + 1", "missing ~ 'a'", "d.nothing.deeper", "(d.nothing).x is defined", "deep.a.b.c", "deep['a'].b['c']", "deep.q is defined", "deep.q.r is defined",
    "messages[0]['role']", "messages[-1].n", "messages[9]", "messages[9].role", "messages[0:2] | length", "messages | last", "(messages | first).role", "2 ** 3 ** 2", "-2 ** 2", "2 ** -1", "7 // -2", "-7 // 2", "-7 % 3", "7.5 // 2", "-7.5 % 2", "1 / 3", "4 / 2", "1 // 0", "1 % 0", "10 ** 20", "2 ** 0.5", "0.1 + 0.2", "1e3", "5e-324", "1.0", "100000000000000000.0", "1e15", "123e-7",
    "1 + 2 ~ 3", "'a' ~ 1 + 2", "1 ~ 2 * 3", "'a' * 3", "3 * 'ab'", "[1] * 2", "'a' * -1", "(1, 2) + (3,)", "[1] + (2,)", "'a' + 1", "1 + 'a'", "true + 1", "not true == false", "- 3 | abs", "-3 | abs", "'a' 'b'", "\"it's\"", "'say \"hi\"'", "['it\\'s', \"q\\\"\", 'a\\nb', 'é\\u200b\\x07\\\\']", "'\\x41\\u00e9\\101\\q'",
    "[1, [2, (3,)], {'a': {'b': none}}]", "[1.0, 1e22, -0.0, 1e-5]", "{1: 'a', 1.0: 'b', true: 'c'}", "{'a': 1}.a", "{'a': 1} == {'a': 1.0}", "[] == ()", "[1] == [1]", "none == false", "0 == false", "'a' == 'a' | string", "messages == messages", "(1)", "(1,)[0]", "[1, 2,]", "{'a': 1,}",
    "t | trim | length", "('<b>' | safe) + '<i>'", "'<i>' + ('<b>' | safe)", "('<b>' | safe) ~ '<i>'", "('a' | safe) == 'a'", "('ab' | safe)[0]", "('<b>' | safe) * 2", "['<b>' | safe, '<i>'] | join", "('<b>' | safe) is string", "('a' | safe) | upper", "('a,b' | safe).split(',')", "'<' | e | e", "('ä' | safe) | tojson", "['a' | safe]",
    "[3, 1] | sort | first", "'abc' | list", "'abc' | reverse", "numbers | sort | join(',')", "['a', 1] | sort", "[none, 1] | min", "'5' | int + 1", "'x' | int", "'3.9' | int", "none | int", "[1] | int", "1.5 | int", "'1e3' | float", "'0x1f' | int", "true | int", "missing | int", "missing | default([]) | length", "missing | length", "missing | list", "missing | join", "missing | upper", "missing | tojson", "missing | items | list",
    "raise_exception('no ' ~ i)", "strftime_now('%%') ", "nofunction(1)", "i(1)", "t()", "range('a')", "joiner(';')", "'a'.upper", "messages.copy()", "d.copy() == d", "(1, 2).count(1)", "(1, 2).index(2)", "1 .real", "f.is_integer()", "true.x", "loop", "self", "varargs", "caller", "'é' | tojson(ensure_ascii=true)", "'😀\\x7f\\u2028/' | tojson", "{1: 2, none: 3, true: 4, 1.5: 5} | tojson", "(1, 2) | tojson", "range(2) | tojson", "1e400 | tojson", "'a\\tb\\\\' | tojson",
    "0b11 + 0o17 + 0xfF", "1_0.5_0", "1.real", "none.x", "none | default('a')", "none | default('a', true)", "'%s' | format('a')", "'%s' | format(a='b')", "'%(a)s' | format(a='b')", "'abc'[1:2] ~ 'abc'[-2:]", "'a,b' .split(',')[1]", "[x for x in y]", "lambda x: 1", "a b", "1 +", "(1", "[1", "{1}", "{'a' 1}", "1)", "'a", "a.", "a.'b'", "a |", "a is", "a[", "a[]", "f(a=1, 2)", "f(*d, 1)", "f(**d, a=1)", "f(a=1, a=2)", "1 is 1", "x is y is z", "@", "a ? b", "1..2", "not", "a not b", "1 = 2", "😀", "été", "a if b else", "range(*[1, 4]) | list", "dict(**{'a': 1})", "range(3, *[7]) | list",
]

statements = [
    "{% for m in messages %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }};{% endfor %}",
    "{% for m in messages %}{{ loop.previtem.role if loop.previtem is defined }}>{{ loop.nextitem.role if not loop.last }};{% endfor %}", "{% for n in numbers %}{{ loop.changed(n) }} {{ loop.cycle('a', 'b') }} {% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k, v in d | dictsort %}{{ k }}{% endfor %}", "{% for a, (b, c) in [(1, (2, 3))] %}{{ a + b + c }}{% endfor %}", "{% for a, b in [(1, 2, 3)] %}{% endfor %}", "{% for x in none %}{% endfor %}", "{% for x in missing %}a{% else %}b{% endfor %}", "{% for x in [] %}a{% else %}b{% endfor %}", "{% for c in 'a😀' %}[{{ c }}]{% endfor %}",
    "{% for n in numbers if n > 1 %}{{ loop.index }}{{ n }}{% else %}none{% endfor %}", "{% for n in numbers if n > 9 %}{{ n }}{% else %}none{% endfor %}", "{% for n in numbers %}{% if n == 2 %}{% break %}{% endif %}{{ n }}{% endfor %}", "{% for n in numbers %}{{ n }}{% if n == 1 %}{% continue %}{% endif %}x{% else %}e{% endfor %}", "{% for a in [1, 2] %}{% for b in [1, 2, 3] %}{% if b == 2 %}{% continue %}{% endif %}{{ a }}{{ b }}{% if a == 2 %}{% break %}{% endif %},{% endfor %};{% endfor %}",
    "{# {% break %} #}{% for x in [1] %}{{ x }}{% endfor %}", "{% break %}", "{% continue %}", "{% for x in [1] recursive %}{{ x }}{% endfor %}", "{% for x in [[1, [2, [3]]], [4]] recursive %}{% if x is iterable %}<{{ loop(x) }}>{% else %}{{ x }}@{{ loop.depth }}{% endif %}{% endfor %}", "{% for x in [1] %}{{ loop(x) }}{% endfor %}", "{{ loop.index }}",
    "{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = x + 10 %}{{ x }} {% endfor %}{{ x }}", "{% set x = 1 %}{% if yes %}{% set x = 2 %}{% endif %}{{ x }}", "{% set ns = namespace(x=0, y='a') %}{% for i in numbers %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}{{ ns.y }}{{ ns.z }}", "{% set d.x = 1 %}", "{% set nope.x = 1 %}", "{% set ns = namespace() %}{% set ns._x = 1 %}", "{% set ns = namespace() %}{{ ns }}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a = 1, 2 %}{{ a }}", "{% set (a, b) = [3, 4] %}{{ b }}", "{% set a, b = 1 %}", "{% set x %}a{{ 1 }}{% endset %}[{{ x }}]", "{% set x | upper | trim %} a{{ 'b' }} {% endset %}[{{ x }}]", "{% set x %}{% set y = 1 %}{% endset %}{{ y }}", "{% set 1 = 2 %}", "{% set true = 2 %}", "{% set x.y.z = 2 %}", "{% set x %}", "{% set messages = messages[1:] %}{{ messages | length }}{% for m in messages %}{{ m.role }}{% endfor %}",
    "{% with a = 1, b = 2 %}{{ a + b }}{% set c = 3 %}{% endwith %}{{ a }}{{ c }}", "{% with %}{% set a = 1 %}{{ a }}{% endwith %}{{ a }}", "{% set a = 1 %}{% with a = 2, b = a %}{{ a }}{{ b }}{% endwith %}", "{% macro f(a, b='x') %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}{{ f(1, 2) }}{{ f(b=3, a=4) }}{{ f() }}", "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}", "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(c=2) }}", "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, a=2) }}", "{% macro f() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, x=3) }}", "{% macro f(a, b=a) %}{{ b }}{% endmacro %}{{ f(5) }}", "{% macro f(a=1, b) %}{% endmacro %}", "{% macro f(a, a) %}{% endmacro %}", "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}", "{% macro f() %}{{ x }}{% endmacro %}{% set x = 7 %}{{ f() }}", "{% macro f() %} a {% endmacro %}{{ f() | trim }}|{{ f() | length }}{{ f().upper() }}", "{% macro f() %}{{ i }}{% set i = 2 %}{{ i }}{% endmacro %}{{ f() }}{{ i }}", "{% macro f(x) %}{{ f.name }}{% endmacro %}{{ f(1) }}", "{{ f }}{% macro f() %}a{% endmacro %}", "{% for x in [1, 2] %}{% macro f() %}{{ x }}{% endmacro %}{{ f() }}{% endfor %}", "{% macro f(a) %}{{ a is defined }}{% endmacro %}{{ f() }}", "{% macro f(a) %}{{ a.b }}{% endmacro %}{{ f() }}", "{% macro f(loop) %}{{ loop }}{% endmacro %}{% for x in [1] %}{{ f(x) }}{{ loop.index }}{% endfor %}",
    "{% macro f(x) %}<{{ caller() }}{{ x }}>{% endmacro %}{% call f(1) %}in{{ i }}{% endcall %}", "{% macro f() %}{{ caller(1, b=2) }}{% endmacro %}{% call(a, b=3) f() %}{{ a }}{{ b }}{% endcall %}", "{% macro f() %}x{% endmacro %}{% call f() %}y{% endcall %}", "{% macro f() %}{{ caller() }}{% endmacro %}{{ f() }}", "{% call 1 %}{% endcall %}", "{% filter upper %}a{{ 'b' }}{% endfilter %}", "{% filter replace('a', 'x') | upper %}abc{% endfilter %}", "{% filter trim %} {% set q = 1 %}{{ q }} {% endfilter %}{{ q }}", "{% print 1 %}", "{% print 1, 'a' %}", "{{ 1, 2 }}", "{% if 1, %}a{% endif %}", "{% if missing %}a{% elif none %}b{% elif yes %}c{% else %}d{% endif %}", "{% if missing.x %}{% endif %}", "{% if not d %}a{% else %}b{% endif %}", "{% if a %}", "{% endif %}", "{% else %}", "{% for %}{% endfor %}", "{% for x in y %}", "{% if %}{% endif %}", "{% nosuch %}", "{% %}", "{%", "{{", "{{ }}", "{# a", "{% raw %} ", "{{ 1 ", "{% if 1 }}", "{{ 1 %}", "}}", "%}", "#}", "{", "{ {", "a{b}c", "{{{'a': 1}}}", "{{ {'a': {'b': 1}} }}", "{{ {} }}", "{{'}}'}}", "{{ '{%' }}", "{% do 1 %}", "{% include 'a' %}", "{% extends 'a' %}", "{% import 'a' as b %}", "{% block a %}x{% endblock %}", "{% autoescape true %}{{ '<' }}{% endautoescape %}", "{% trans %}a{% endtrans %}", "{% debug %}",
    "{% generation %}a{{ i }}{% endgeneration %}b", "{% for m in messages %}{% generation %}{{ m.role }}{{ loop.index }}{% set q = 1 %}{% endgeneration %}{{ q }}{% endfor %}", "{%- generation -%} a {%- endgeneration -%} b", "{% generation %}", "{% generation %}{% break %}{% endgeneration %}",
    "{% raw %}{{ a }} {% b %}{% endraw %}", "a\n  {% raw %}\n x \n  {% endraw %}\nb", "a {%- raw -%} x {%- endraw -%} b", "{% raw %}\n{% endraw %}\nx",
    "a\n  {% if 1 %}\n  b\n  {% endif %}\nc", "a\n  {%- if 1 -%}\n  b\n  {%- endif -%}\nc", "a  {% if 1 %}  b{% endif %}  \nc", "  {{ 1 }}\n  {{- 2 -}}\n  3", "  {# c #}\n  x {# d #}\ny", "a {#- c -#} b", "  {#- c -#}\n b", "a\n{%+ if 1 +%}\nb\n  {%+ endif %}\nc", "  {%+ if 1 %}x{% endif %}", "a\n {% if 1 %}{% endif %}\n\nb", "x\r\ny\r{% if 1 %}\r\nz{% endif %}\r\n", "{{ 1 }}\n", "{{ 1 }}\n\n", "\n", "a\n\n\n", "{% if 1 %}\n\n\na{% endif %}", "\t{% if 1 %}\ta{% endif %}", "a\u00a0\n\u00a0{% if 1 %}b{% endif %}", "a \u2003{{- 1 -}}\u2003 b", "{% set x = 1 -%}\n\n  y", "{{ 'a\r\nb' }}", "{{ 'a\nb' }}", "{{'a'\n~\n'b'}}", "{%\nset\nx\n=\n1\n%}{{x}}", "{{ -1 }}{{- 1}}{{+1}}", "{{-1}}", "{%-if 1%}a{%-endif%}", "{%if 1%}a{%endif%}", "{{1}}{{2}}", "a{{ 1 }}  {#- x #}  b", "{#-#}a", "{#--#}a", "{# {{ #}b", "{# a #}\n\nb", "{% if 1 -%}\n a\n{%- endif %}\n b", "{%- for m in messages -%}\n  {{ m.role }}\n{%- endfor -%}\n",
    "{% for m in messages %}{{ m }}{% endfor %}", "{{ messages }}", "{{ tools }}", "{{ tools | tojson(indent=4) }}", "{{ people }}", "{{ t }}|{{ emoji }}|{{ odd }}|{{ lines }}", "{{ [odd, lines, emoji] }}", "{%- for m in messages %}{%- set c = m.content %}{%- if '</think>' in c %}{% set c = c.split('</think>')[-1].lstrip('\\n') %}{% endif %}\n{{- '<|' + m.role + '|>' + c + '<|end|>' }}\n{%- endfor %}", "{{ messages | map(attribute='role') | join('/') }}{% set r = messages | map(attribute='role') %}{% for x in r %}{{ x }}{% endfor %}{% for x in r %}{{ x }}{% endfor %}", "{% set j = joiner() %}{% for n in numbers %}{{ j() }}{{ n }}{% endfor %}", "{% set r = numbers | select %}{{ r | first }}{{ r | list }}{{ r | list }}", "{{ 'x' if loop is undefined }}", "{% for x in d %}{{ x }}{% endfor %}{% for x in d.values() %}{{ x }}{% endfor %}", "{{ d.keys() | length }}{{ d.items() | first }}{{ d.values() | sum }}", "{% set x = {'a': 1} %}{{ x.a }}{{ x['a'] }}{{ x.b is defined }}", "{{ (1, 2)[0] }}{{ [[1]][0][0] }}{{ {'a': [1]}.a[0] }}", "{{ 'a' if 'x' in 'xyz' and not false or false }}", "{{ 1 if true else raise_exception('never') }}", "{{ raise_exception('bad: ' + messages[0].role) }}",
]

cases = []
for template in [f"{{{{ {e} }}}}" for e in expressions] + statements:
    try:
        expected = {"text": _compile_jinja_template(template).render(**json.loads(json.dumps(context)))}
        if " at 0x" in expected["text"]: expected = {"error": "an address"}
    except Exception as error:
        expected = {"error": type(error).__name__}
    cases.append({"template": template, **expected})

here = os.path.dirname(os.path.abspath(__file__))
path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "fixtures", "jinja-cases.json")
with open(path, "w", encoding="utf-8") as file:
    head = json.dumps(context, ensure_ascii=True)
    lines = ",\n".join(json.dumps([c["template"], c.get("text")], ensure_ascii=True) for c in cases)
    file.write(f'{{"context": {head},\n"cases": [\n{lines}\n]}}\n')
print(len(cases), sum("text" in c for c in cases))
