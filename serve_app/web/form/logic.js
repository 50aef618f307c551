// What of a form is shown, reached and required after some answers: the same as `CompiledForm.decide` says on the
// server, from what `CompiledForm.logic()` returns. docs/reference/definition.md describes the language of expressions;
// the tests hold both sides to it. Answers are taken in their normal form; wrong ones must be left out.

/**
 * Decides. `now` is a Date, milliseconds, or a text that Date reads.
 *
 * Elements of groups stand as `<group>/<index>/<id>` in `visible`, `required` and `values`.
 */
export function decide(logic, answers, now) {
  const values = new Map([[CLOCK, clock(now)]]);
  const given = isMap(answers) ? answers : {};
  run(logic.steps, given, values, null);
  const found = { visible: new Set(), pages: [], required: new Set(), values: {}, faults: [] };
  show(logic.steps, logic.displays, values, null, "", found);
  for (const step of logic.steps) {
    if (step.items && found.visible.has(step.key) && Array.isArray(given[step.key])) {
      given[step.key].forEach((answersOfItem, index) => {
        if (!isMap(answersOfItem)) return;
        const inner = new Map();
        run(step.items.steps, answersOfItem, inner, values);
        show(step.items.steps, step.items.displays, inner, values, `${step.key}/${index}/`, found);
      });
    }
  }
  found.pages = logic.pages.filter((page) => !page.mark || values.has(page.mark)).map((page) => page.id);
  for (const rule of logic.rules) {
    const first = rule.fields.find((id) => found.visible.has(id));
    if ((rule.fields.length && first === undefined) || truth(evaluate(rule.check, values, null))) continue;
    const pointer = first === undefined ? "/answers" : `/answers/${first}`;
    found.faults.push({ pointer, code: `rule.${rule.id}`, detail: rule.message });
  }
  return found;
}

const CLOCK = "/now";
const EXACT = 2 ** 53;
const MAX_TEXT = 10000;
// What Python's str.isspace calls blank.
const BLANK = /^[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*$/;

function clock(now) {
  return new Date(now ?? Date.now()).toISOString().slice(0, 19) + "Z";
}

// Puts what is decided into `values`: answers by id, marks of pages, sections and jumps by their keys.
function run(steps, answers, values, outer) {
  for (const step of steps) {
    if (!shown(step, values, outer)) continue;
    const value = decided(step, answers, values, outer);
    if (value !== null) values.set(step.key, value);
  }
}

function shown(step, values, outer) {
  if (step.within && !values.has(step.within)) return false;
  if (step.after?.some((mark) => (values.get(mark) ?? 0) > step.page)) return false;
  return !step.visible_if || truth(evaluate(step.visible_if, values, outer));
}

function decided(step, answers, values, outer) {
  if (step.mark) return true;
  if (step.jumps) {
    const taken = step.jumps.find((jump) => !jump.if || truth(evaluate(jump.if, values, outer)));
    return taken ? taken.to : step.page + 1;
  }
  if (step.value) {
    const value = evaluate(step.value, values, outer);
    return typeof value === "object" || value === "" ? null : value;
  }
  const raw = Object.hasOwn(answers, step.key) ? answers[step.key] : null;
  if (isEmpty(raw)) return null;
  if (step.items) return items(step, raw, values);
  if (step.consent && raw === false) return null;
  const value = step.view ? VIEWS[step.view](raw) : raw;
  return new Answer(value, step.view === "ranks" ? value : raw, step.scores);
}

// An answer as expressions see it, as its parts are found in it, and what its options are worth.
class Answer {
  constructor(value, raw, scores) {
    this.value = value;
    this.raw = raw;
    this.scores = scores;
  }
}

function items(step, raw, values) {
  if (!Array.isArray(raw)) return null;
  const list = [];
  for (const answers of raw) {
    if (!isMap(answers)) continue;
    const inner = new Map();
    run(step.items.steps, answers, inner, values);
    if (step.items.entered.some((key) => inner.has(key))) list.push(inner);
  }
  return list.length ? new Answer(list, list) : null;
}

function show(steps, displays, values, outer, prefix, found) {
  for (const step of [...steps, ...displays]) {
    if (step.mark || step.jumps || !shown(step, values, outer)) continue;
    const name = prefix + step.key;
    found.visible.add(name);
    const required = step.required;
    if (required === true || (required && truth(evaluate(required, values, outer)))) found.required.add(name);
    if (step.value && values.has(step.key)) found.values[name] = values.get(step.key);
  }
}

const VIEWS = {
  choice: (raw) => (isMap(raw) ? ((isEmpty(raw.option) ? raw.other : raw.option) ?? null) : raw),
  choices: (raw) => {
    if (!isMap(raw)) return raw;
    return [...(Array.isArray(raw.options) ? raw.options : []), ...(isEmpty(raw.other) ? [] : [raw.other])];
  },
  ranks: (raw) => (Array.isArray(raw) ? Object.fromEntries(raw.map((id, index) => [id, index + 1])) : raw),
};

function evaluate([op, ...args], values, outer) {
  switch (op) {
    case "value":
      return args[0];
    case "answer":
      return read(outer ?? values, ...args);
    case "item":
      return read(values, ...args);
    case "score":
      return score(args[0], values, outer);
    case "today":
      return (outer ?? values).get(CLOCK).slice(0, 10);
    case "now":
      return (outer ?? values).get(CLOCK);
    case "or":
      return args.some((arg) => truth(evaluate(arg, values, outer)));
    case "and":
      return args.every((arg) => truth(evaluate(arg, values, outer)));
    case "if":
      return evaluate(args[truth(evaluate(args[0], values, outer)) ? 1 : 2], values, outer);
    case "coalesce":
      for (const arg of args) {
        const value = evaluate(arg, values, outer);
        if (value !== null) return value;
      }
      return null;
  }
  const operands = args.map((arg) => evaluate(arg, values, outer));
  return op in FUNCTIONS ? FUNCTIONS[op](...operands) : arithmetic(op, operands);
}

function read(values, id, part) {
  const answer = values.get(id) ?? null;
  if (part === undefined) return answer instanceof Answer ? plain(answer.value) : answer;
  const raw = answer instanceof Answer ? answer.raw : answer;
  if (Array.isArray(raw)) {
    if (!(raw[0] instanceof Map)) return null;
    return raw.filter((item) => item.has(part)).map((item) => read(item, part));
  }
  return isMap(raw) && Object.hasOwn(raw, part) ? raw[part] : null;
}

// Items as they would be sent.
function plain(value) {
  if (!Array.isArray(value)) return value;
  return value.map((item) =>
    item instanceof Map
      ? Object.fromEntries([...item].map(([key, answer]) => [key, answer instanceof Answer ? answer.raw : answer]))
      : item,
  );
}

function score([root, id], values, outer) {
  const answer = (root === "answer" ? (outer ?? values) : values).get(id) ?? null;
  if (answer === null) return null;
  if (!(answer instanceof Answer)) return worth(answer);
  if (!answer.scores) return worth(answer.value);
  const chosen = isMap(answer.value) ? Object.values(answer.value).flat() : [answer.value].flat();
  return chosen.reduce((total, item) => total + (Object.hasOwn(answer.scores, item) ? answer.scores[item] : 0), 0);
}

function worth(value) {
  return typeof value === "boolean" ? Number(value) : typeof value === "number" ? value : null;
}

function isMap(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isEmpty(value) {
  if (value === null || value === undefined) return true;
  if (typeof value === "string") return BLANK.test(value);
  if (value instanceof Answer || value instanceof Map) return false;
  return typeof value === "object" && Object.keys(value).length === 0;
}

function kind(value) {
  if (value === null || value === undefined) return "null";
  return Array.isArray(value) ? "list" : typeof value;
}

function truth(value) {
  return Array.isArray(value) ? value.length > 0 : isMap(value) ? Object.keys(value).length > 0 : Boolean(value);
}

function same(left, right) {
  if (kind(left) !== kind(right)) return false;
  if (typeof left !== "object" || left === null) return left === right || kind(left) === "null";
  const keys = Object.keys(left);
  return (
    keys.length === Object.keys(right).length &&
    keys.every((key) => Object.hasOwn(right, key) && same(left[key], right[key]))
  );
}

// Texts by code point, not by UTF-16 unit.
function compare(left, right) {
  if (typeof left === "number") return left - right;
  const [these, those] = [[...left], [...right]];
  for (let index = 0; index < these.length && index < those.length; index++) {
    if (these[index] !== those[index]) return these[index].codePointAt(0) - those[index].codePointAt(0);
  }
  return these.length - those.length;
}

function ordered(holds) {
  return (left, right) =>
    ["string", "number"].includes(kind(left)) && kind(left) === kind(right) && holds(compare(left, right));
}

function within(item, whole) {
  if (Array.isArray(whole)) return whole.some((other) => same(item, other));
  return typeof whole === "string" && typeof item === "string" && whole.includes(item);
}

// Numbers: doubles; what is not finite is null, and there is no -0.
function normal(value) {
  return Number.isFinite(value) ? value + 0 : null;
}

const SIGNS = {
  "+": (left, right) => left + right,
  "-": (left, right) => left - right,
  "*": (left, right) => left * right,
  "/": (left, right) => (right === 0 ? NaN : left / right),
  "%": (left, right) => left % right,
};

function arithmetic(signs, [first, ...others]) {
  if (typeof first !== "number" || others.some((value) => typeof value !== "number")) return null;
  return normal(others.reduce((total, value, index) => SIGNS[signs[index]](total, value), first));
}

function shifted(value, digits) {
  const [mantissa, exponent] = String(value).split("e");
  return Number(`${mantissa}e${Number(exponent ?? 0) + digits}`);
}

function rounded(value, digits) {
  const far = shifted(Math.abs(value), digits);
  if (!Number.isFinite(far)) return normal(value);
  const below = Math.floor(far);
  return normal(Math.sign(value) * shifted(far - below >= 0.5 ? below + 1 : below, -digits));
}

function whole(value) {
  return Number.isInteger(value) && Math.abs(value) <= EXACT ? value : null;
}

function flat(values) {
  return values.flat().filter((value) => value !== null);
}

function sum(...values) {
  const numbers = flat(values);
  if (numbers.some((value) => typeof value !== "number")) return null;
  return normal(numbers.reduce((total, value) => total + value, 0));
}

function extreme(better) {
  return (...values) => {
    const found = flat(values);
    const kinds = new Set(found.map((value) => typeof value));
    if (kinds.size !== 1 || !(kinds.has("number") || kinds.has("string"))) return null;
    return found.reduce((best, value) => (better(compare(value, best)) ? value : best));
  };
}

const numeric = (calculate) => (value) => (typeof value === "number" ? normal(calculate(value)) : null);
const textual = (change) => (value) => (typeof value === "string" && bounded(value) !== null ? change(value) : null);
const affix = (has) => (text, part) => typeof text === "string" && typeof part === "string" && has(text, part);

function cut(take) {
  return (text, number) => {
    const length = whole(number);
    if (typeof text !== "string" || bounded(text) === null || length === null || length < 0) return null;
    return take([...text], length).join("");
  };
}

function cased(change) {
  // Newer versions of Unicode add letters; up to here every one agrees.
  const one = (letter) => {
    const other = letter < "\u0530" ? change(letter) : letter;
    return other.length === 1 && other < "\u0530" ? other : letter;
  };
  return textual((text) => Array.from(text, one).join(""));
}

function spelled(value) {
  return ["boolean", "number", "string"].includes(typeof value) ? String(value) : null;
}

function bounded(text) {
  return text.length > MAX_TEXT && [...text].length > MAX_TEXT ? null : text;
}

function concat(...values) {
  const texts = values.map((value) => (value === null ? "" : spelled(value)));
  return texts.includes(null) ? null : bounded(texts.join(""));
}

function join(values, separator) {
  if (typeof separator !== "string") return null;
  if (!Array.isArray(values)) return spelled(values);
  const texts = flat([values]).map(spelled);
  return texts.includes(null) ? null : bounded(texts.join(separator));
}

// Dates: days since 1 March of the year 0 in the proleptic Gregorian calendar.
function dateOf(value) {
  const match = typeof value === "string" ? /^(\d{4})-(\d{2})-(\d{2})(?:T[\d:]{5,8}Z)?$/.exec(value) : null;
  if (!match) return null;
  const [year, month, day] = match.slice(1, 4).map(Number);
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const last = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
  return year >= 1 && day >= 1 && day <= last ? { year, month, day } : null;
}

function ordinal({ year, month, day }) {
  const years = month > 2 ? year : year - 1;
  const leaps = Math.floor(years / 4) - Math.floor(years / 100) + Math.floor(years / 400);
  return years * 365 + leaps + Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
}

const FIRST_DAY = ordinal({ year: 1, month: 1, day: 1 });
const LAST_DAY = ordinal({ year: 9999, month: 12, day: 31 });

function fromOrdinal(days) {
  const era = Math.floor(days / 146097);
  const ofEra = days - era * 146097;
  const years = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36524) - Math.floor(ofEra / 146096)) / 365,
  );
  const ofYear = ofEra - (365 * years + Math.floor(years / 4) - Math.floor(years / 100));
  const shiftedMonth = Math.floor((5 * ofYear + 2) / 153);
  const day = ofYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = years + era * 400 + (month <= 2 ? 1 : 0);
  const digits = (number, width) => String(number).padStart(width, "0");
  return `${digits(year, 4)}-${digits(month, 2)}-${digits(day, 2)}`;
}

function dated(calculate) {
  return (...values) => {
    const dates = values.map(dateOf);
    return dates.includes(null) ? null : calculate(...dates);
  };
}

function addDays(start, number) {
  const [date, count] = [dateOf(start), whole(number)];
  if (date === null || count === null) return null;
  const day = ordinal(date) + count;
  return day >= FIRST_DAY && day <= LAST_DAY ? fromOrdinal(day) : null;
}

const FUNCTIONS = {
  not: (value) => !truth(value),
  absent: (value) => value === null,
  present: (value) => value !== null,
  "==": same,
  "!=": (left, right) => kind(left) === kind(right) && !same(left, right),
  "<": ordered((order) => order < 0),
  "<=": ordered((order) => order <= 0),
  ">": ordered((order) => order > 0),
  ">=": ordered((order) => order >= 0),
  in: within,
  contains: (whole, item) => within(item, whole),
  negative: numeric((value) => -value),
  empty: (value) => value === null || (typeof value !== "boolean" && typeof value !== "number" && !truth(value)),
  count: (value) => {
    if (typeof value === "object" && value !== null) return Object.keys(value).length;
    return value === null || value === "" ? 0 : 1;
  },
  length: (value) => (typeof value === "string" ? [...value].length : 0),
  sum,
  avg: (...values) => {
    const total = sum(...values);
    const number = flat(values).length;
    return total === null || number === 0 ? null : normal(total / number);
  },
  min: extreme((order) => order < 0),
  max: extreme((order) => order > 0),
  abs: numeric(Math.abs),
  floor: numeric(Math.floor),
  ceil: numeric(Math.ceil),
  round: (value, digits = 0) => {
    const places = whole(digits);
    return typeof value !== "number" || places === null || places < 0 || places > 10 ? null : rounded(value, places);
  },
  number: (value) => {
    if (typeof value === "number") return value;
    return typeof value === "string" && /^-?\d{1,15}(\.\d{1,15})?$/.test(value) ? normal(Number(value)) : null;
  },
  text: spelled,
  lower: cased((letter) => letter.toLowerCase()),
  upper: cased((letter) => letter.toUpperCase()),
  trim: textual((text) => text.replace(/^[ \t\n\r]+|[ \t\n\r]+$/g, "")),
  concat,
  join,
  left: cut((letters, length) => letters.slice(0, length)),
  right: cut((letters, length) => (length ? letters.slice(-length) : [])),
  starts_with: affix((text, part) => text.startsWith(part)),
  ends_with: affix((text, part) => text.endsWith(part)),
  year: dated((date) => date.year),
  month: dated((date) => date.month),
  day: dated((date) => date.day),
  weekday: dated((date) => ((ordinal(date) + 2) % 7) + 1),
  days: dated((start, end) => ordinal(end) - ordinal(start)),
  years: dated(
    (start, end) =>
      end.year - start.year - (end.month < start.month || (end.month === start.month && end.day < start.day) ? 1 : 0),
  ),
  add_days: addDays,
};
