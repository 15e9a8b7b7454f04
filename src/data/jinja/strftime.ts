import { unsupported } from './fault.ts';

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];
const two = (value: number): string => String(value).padStart(2, '0');

const dayOfYear = (now: Date): number =>
  Math.round((Date.UTC(now.getFullYear(), now.getMonth(), now.getDate()) - Date.UTC(now.getFullYear(), 0, 1)) / 864e5);

/** Number of weeks since the beginning of the year, if weeks begin on `first` (0 = Sunday). */
const weekOfYear = (now: Date, first: number): number =>
  Math.floor((dayOfYear(now) + 7 - ((now.getDay() - first + 7) % 7)) / 7);

const fields: ReadonlyMap<string, (now: Date) => string> = new Map<string, (now: Date) => string>([
  ['a', (now) => days[now.getDay()]!.slice(0, 3)],
  ['A', (now) => days[now.getDay()]!],
  ['w', (now) => String(now.getDay())],
  ['u', (now) => String(now.getDay() || 7)],
  ['d', (now) => two(now.getDate())],
  ['e', (now) => String(now.getDate()).padStart(2)],
  ['b', (now) => months[now.getMonth()]!.slice(0, 3)],
  ['h', (now) => months[now.getMonth()]!.slice(0, 3)],
  ['B', (now) => months[now.getMonth()]!],
  ['m', (now) => two(now.getMonth() + 1)],
  ['y', (now) => two(now.getFullYear() % 100)],
  ['Y', (now) => String(now.getFullYear())],
  ['C', (now) => two(Math.floor(now.getFullYear() / 100))],
  ['H', (now) => two(now.getHours())],
  ['I', (now) => two(now.getHours() % 12 || 12)],
  ['p', (now) => (now.getHours() < 12 ? 'AM' : 'PM')],
  ['M', (now) => two(now.getMinutes())],
  ['S', (now) => two(now.getSeconds())],
  ['f', (now) => String(now.getMilliseconds() * 1000).padStart(6, '0')],
  ['j', (now) => String(dayOfYear(now) + 1).padStart(3, '0')],
  ['U', (now) => two(weekOfYear(now, 0))],
  ['W', (now) => two(weekOfYear(now, 1))],
  ['z', () => ''],
  ['Z', () => ''],
  ['s', (now) => String(Math.floor(now.getTime() / 1000))],
  ['n', () => '\n'],
  ['t', () => '\t'],
  ['%', () => '%'],
]);
const compound: ReadonlyMap<string, string> = new Map([
  ['c', '%a %b %e %H:%M:%S %Y'],
  ['x', '%m/%d/%y'],
  ['X', '%H:%M:%S'],
  ['D', '%m/%d/%y'],
  ['F', '%Y-%m-%d'],
  ['T', '%H:%M:%S'],
  ['R', '%H:%M'],
  ['r', '%I:%M:%S %p'],
]);

/** Python's `datetime.strftime` for a local time without time zone, in the C locale of Linux; `-` omits padding. */
export function strftime(now: Date, format: string): string {
  return format.replace(/%(-?)(.?)/gsu, (whole, flag, letter) => {
    const parts = compound.get(letter);
    if (parts !== undefined && flag === '') return strftime(now, parts);
    const field = fields.get(letter);
    if (!field) throw unsupported(`${JSON.stringify(whole)} in strftime_now`);
    const text = field(now);
    return flag === '-' ? text.replace(/^[0 ]+(?=.)/, '') : text;
  });
}
