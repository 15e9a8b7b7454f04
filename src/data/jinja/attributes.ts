import type { Budget } from './budget.ts';
import { unsupported } from './fault.ts';
import { methodOf, pythonMethods } from './methods.ts';
import { characterAt, type SliceBounds, sliced, slicedText } from './slices.ts';
import {
  Callable,
  Dict,
  itemsOf,
  lengthOf,
  Namespace,
  Range,
  Safe,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from './values.ts';

/** Attributes that every Python object has; jinja2's sandbox makes them undefined. */
const inner =
  /^__(class|delattr|dir|doc|eq|format|ge|getattribute|getstate|gt|hash|init|init_subclass|le|lt|ne|new|reduce|reduce_ex|repr|setattr|sizeof|str|subclasshook|contains|getitem|iter|len|add|mul|rmul|mod|rmod|dict|module|call|bool|int|float|setitem|delitem|reversed|class_getitem|or|ror|ior|iadd|imul)__$/;

/**
 * `object.name`: the attribute, else the item of a dict, else undefined. Properties of JavaScript objects are never
 * accessible.
 */
export function attributeOf(object: Value, name: string, budget: Budget): Value {
  if (object instanceof Undefined) throw object.fault();
  if (inner.test(name)) return missing(object, name);
  return ownAttribute(object, name, budget) ?? itemIn(object, name) ?? missing(object, name);
}

/** `object[index]`: the item, else the attribute with that name, else undefined. */
export function itemOf(object: Value, index: Value, budget: Budget): Value {
  if (object instanceof Undefined) throw object.fault();
  if (typeof object === 'string') budget.read(object.length);
  const item = itemIn(object, index);
  if (item !== undefined) return item;
  const name = index instanceof Safe ? index.text : index;
  const attribute = typeof name === 'string' && !inner.test(name) ? ownAttribute(object, name, budget) : undefined;
  return attribute ?? missing(object, typeof name === 'string' ? name : `[${typeName(index)}]`);
}

function ownAttribute(object: Value, name: string, budget: Budget): Value | undefined {
  if (object instanceof Namespace) return object.attributes.get(name);
  if (object instanceof Callable) return object.attributes(name);
  const method = methodOf(object, name, budget);
  if (method) return method;
  if (pythonMethods(object).includes(name)) throw unsupported(`the attribute .${name} of a ${typeName(object)}`);
  return undefined;
}

function itemIn(object: Value, index: Value): Value | undefined {
  if (object instanceof Dict) return isHashable(index) ? object.get(index) : undefined;
  if (typeof index !== 'bigint' && typeof index !== 'boolean') return undefined;
  const at = Number(index);
  if (typeof object === 'string') return characterAt(object, at);
  if (object instanceof Safe) {
    const character = characterAt(object.text, at);
    return character === undefined ? undefined : new Safe(character);
  }
  if (Array.isArray(object)) return object.at(at);
  if (object instanceof Tuple) return object.items.at(at);
  return object instanceof Range ? object.at(at) : undefined;
}

const isHashable = (value: Value): boolean =>
  value === null ||
  typeof value !== 'object' ||
  value instanceof Safe ||
  value instanceof Undefined ||
  value instanceof Range ||
  (value instanceof Tuple && value.items.every(isHashable));

function missing(object: Value, name: string): Undefined {
  return new Undefined(`a ${typeName(object)} has no ${JSON.stringify(name)}`);
}

/** `object[start:stop:step]` */
export function sliceOf(object: Value, bounds: SliceBounds, budget: Budget): Value {
  if (object instanceof Undefined) throw object.fault();
  if (typeof object === 'string' || object instanceof Safe) {
    budget.read(lengthOf(object));
    const text = slicedText(typeof object === 'string' ? object : object.text, bounds);
    budget.makeText(text.length);
    return typeof object === 'string' ? text : new Safe(text);
  }
  if (Array.isArray(object) || object instanceof Tuple) {
    const items = sliced(itemsOf(object, budget), bounds);
    return Array.isArray(object) ? items : new Tuple(items);
  }
  throw unsupported(`a slice of a ${typeName(object)}`);
}
