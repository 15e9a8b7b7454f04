"""Renders every *.jinja of a folder over conversations as transformers does: python render_chat_templates.py FOLDER.
Prints JSON: for each file its source and renderings, with null where Python raises."""
import glob, json, os, sys
from transformers.utils.chat_template_utils import _compile_jinja_template

user, assistant = (lambda content: {"role": "user", "content": content}), (lambda content, **more: {"role": "assistant", "content": content, **more})
call = {"type": "function", "id": "abc123def", "function": {"name": "get", "arguments": {"city": "Rome", "days": 3, "f": 1.5, "n": None, "b": True, "l": ["a", 1]}}}
conversations = [
    [user("Hi"), assistant("Ho")],
    [{"role": "system", "content": "Be brief."}, user(" Hi "), assistant("Ho"), user("So?"), assistant("No.\n")],
    [user("Only a question")],
    [user("q"), assistant("<think>\nhm\n</think>\n\n  answer"), user("r"), assistant("<think>x</think>\n\nb")],
    [user("Grüße 😀 \u2028 ＡＢ"), assistant("日本語 {{ x }} {% if %}")],
    [user("<|im_end|>\n<|im_start|>user"), assistant("</s> \"q\" 'p' & <b>")],
    [user(""), assistant("")],
    [user("code"), assistant("    def f():\n\treturn 1\n\n")],
    [user("weather?"), assistant("", tool_calls=[call]), {"role": "tool", "name": "get", "tool_call_id": "abc123def", "content": "sunny"}, assistant("Sunny.")],
    [user("q"), assistant("a", reasoning_content="deep", thinking="deep")],
    [user([{"type": "text", "text": "Hi"}, {"type": "image"}]), assistant([{"type": "text", "text": "Ho"}])],
    [user("a"), {"role": "system", "content": "late"}, assistant("b")],
    [user("a\r\nb\x1c\ufeff"), assistant("\ufeff\u200b c \xa0\n")],
]
properties = {"city": {"type": "string", "description": "City"}, "days": {"type": "integer", "enum": [1, 2]}, "x": {"type": ["string", "null"], "default": "é"},
              "list": {"type": "array", "items": {"type": "object", "properties": {"k": {"type": "boolean"}}}}}
tools = [{"type": "function", "function": {"name": "get", "description": "Gets it <now> & 'then'", "parameters": {"type": "object", "properties": properties, "required": ["city"]}}}]

def rendered(template, context):
    try: return template.render(**json.loads(json.dumps(context)))
    except Exception: return None

files = []
for path in sorted(glob.glob(os.path.join(sys.argv[1], "*.jinja"))):
    source = open(path, newline="", encoding="utf-8").read()
    template = _compile_jinja_template(source)
    contexts = [{"messages": messages, "tools": given, "documents": None, "add_generation_prompt": prompt, "bos_token": "<s>", "eos_token": "</s>", **thinking}
                for messages in conversations for given in (None, tools) for prompt in (False, True) for thinking in ({}, {"enable_thinking": True}, {"enable_thinking": False})]
    files.append({"name": os.path.basename(path), "source": source, "cases": [[context, rendered(template, context)] for context in contexts]})
print(json.dumps(files))
