// @ts-check
/**
 * What a line means. No sockets, no table.
 *
 * Lines are Latin-1 strings: an id may hold any byte. Times are compared as decimals and skews computed in
 * integers: a double loses a nanosecond.
 */
import { now } from './clock.mjs';

/** The LF not counted. */
export const LINE_MAX = 64 * 1024;
/** What of a line that is too long comes back. */
export const TOO_LONG_ECHO = 128;
const ID_MAX = 4096;
const BURN_MAX = 10_000;

/** @typedef {{ id: string, position: string, time: string }} Report */
/** @typedef {{ server: string, skew: string, report: Report }} At */
/** @typedef {{ id: string, radiusMetres: number, bound: number }} Question */
/**
 * @typedef {{ kind: 'iamat', report: Report } | { kind: 'at', at: At }
 *   | { kind: 'whatsat', question: Question } | { kind: 'peer', name: string }
 *   | { kind: 'burn', milliseconds: number, away: boolean }} Command
 */

// Not \S: to JavaScript a no-break space is white.
const FIELD = /[^ \t\r\n\v\f]+/g;
const DIGITS = /^[0-9]+$/;
const DECIMAL = /^[0-9]+(?:\.[0-9]+)?$/;
const POSITION = /^[+-]0*([0-9]{1,3})(\.[0-9]+)?[+-]0*([0-9]{1,3})(\.[0-9]+)?$/;
const SKEW = /^[+-][0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;

/**
 * @param {string} line without its LF
 * @returns {Command | undefined} undefined: the command is invalid
 */
export function parse(line) {
  const fields = line.match(FIELD) ?? [''];
  switch (fields[0]) {
    case 'IAMAT': {
      const report = fields.length === 4 ? makeReport(fields[1], fields[2], fields[3]) : undefined;
      return report && { kind: 'iamat', report };
    }
    case 'AT': {
      if (fields.length !== 6 || !SKEW.test(fields[2])) return undefined;
      const report = makeReport(fields[3], fields[4], fields[5]);
      return report && { kind: 'at', at: { server: fields[1], skew: fields[2], report } };
    }
    case 'WHATSAT': {
      const question = fields.length === 4 ? makeQuestion(fields[1], fields[2], fields[3]) : undefined;
      return question && { kind: 'whatsat', question };
    }
    case 'PEER':
      // Names are text: this is the one field that is not copied by the byte.
      return fields.length === 2 ? { kind: 'peer', name: utf8(fields[1]) } : undefined;
    case 'BURN': {
      const [, number = '', where] = fields;
      const milliseconds = DIGITS.test(number) ? Number(number) : Infinity;
      const isValid = milliseconds <= BURN_MAX && [undefined, 'away'].includes(where) && fields.length <= 3;
      return isValid ? { kind: 'burn', milliseconds, away: where !== undefined } : undefined;
    }
    default:
      return undefined;
  }
}

/** @param {string} line @returns {string} the answer to an invalid command */
export function invalid(line) {
  return `? ${line}\n`;
}

/** @param {string} id @param {string} position @param {string} time @returns {Report | undefined} */
function makeReport(id, position, time) {
  if (id.length > ID_MAX || !DECIMAL.test(time) || !isPosition(position)) return undefined;
  return { id, position, time };
}

/** @param {string} text */
function isPosition(text) {
  const match = POSITION.exec(text);
  return match !== null && isWithin(90, match[1], match[2]) && isWithin(180, match[3], match[4]);
}

/** @param {number} limit @param {string} degrees @param {string | undefined} fraction */
function isWithin(limit, degrees, fraction) {
  const whole = Number(degrees);
  return whole < limit || (whole === limit && !/[1-9]/.test(fraction ?? ''));
}

/** @param {string} id @param {string} radius @param {string} bound @returns {Question | undefined} */
function makeQuestion(id, radius, bound) {
  if (id.length > ID_MAX || !DECIMAL.test(radius) || !DIGITS.test(bound)) return undefined;
  if (compareDecimals(radius, '50') > 0 || compareDecimals(bound, '20') > 0) return undefined;
  const [whole, fraction = ''] = radius.split('.');
  const radiusMetres = Number(whole + fraction.slice(0, 3).padEnd(3, '0'));
  return { id, radiusMetres, bound: Number(bound) };
}

/** @param {string} a @param {string} b @returns {number} below, at or above zero, as for sort */
export function compareDecimals(a, b) {
  // Most times have as many digits as the last.
  if (a.length === b.length && a.indexOf('.') === b.indexOf('.')) return compare(a, b);
  const [wholeA, fractionA = ''] = a.split('.');
  const [wholeB, fractionB = ''] = b.split('.');
  const x = wholeA.replace(/^0+/, '');
  const y = wholeB.replace(/^0+/, '');
  if (x.length !== y.length) return x.length - y.length;
  return compare(x, y) || compare(fractionA.replace(/0+$/, ''), fractionB.replace(/0+$/, ''));
}

/** @param {string} a @param {string} b */
export function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** @param {string} time @returns {string} our time minus the client's: a sign and nine decimals */
export function skew(time) {
  const [whole, fraction = ''] = time.split('.');
  const nine = fraction.slice(0, 9).padEnd(9, '0');
  const ours = now();
  const seconds = Math.trunc(ours / 1000);
  const nanoseconds = Math.trunc((ours - seconds * 1000) * 1e6);
  /** @type {number | bigint} */
  let difference = (seconds - Number(whole)) * 1e9 + (nanoseconds - Number(nine));
  if (!Number.isSafeInteger(difference)) {
    // More than a hundred days.
    difference = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds) - BigInt(whole + nine);
  }
  const digits = String(difference < 0 ? -difference : difference).padStart(10, '0');
  return `${difference < 0 ? '-' : '+'}${digits.slice(0, -9)}.${digits.slice(-9)}`;
}

/** @param {string} text Latin-1 @returns {string} */
function utf8(text) {
  return Buffer.from(text, 'latin1').toString();
}
