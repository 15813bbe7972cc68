// @ts-check
/**
 * The protocol, without sockets.
 *
 * Lines are Latin-1 strings: one character is one byte, so that an id may hold any byte, and V8 is at its
 * fastest. Times are compared as decimals and skews computed as BigInt: a double loses a nanosecond.
 */

export const LINE_MAX = 64 * 1024;
const ID_MAX = 4096;

/** @typedef {{ id: string, position: string, time: string }} Report */
/** @typedef {{ server: string, skew: string, report: Report }} At */
/** @typedef {{ id: string, radiusMetres: number, bound: number }} Question */
/**
 * @typedef {{ kind: 'iamat', report: Report } | { kind: 'at', at: At }
 *   | { kind: 'whatsat', question: Question } | { kind: 'peer', name: string }} Command
 */

const DECIMAL = /^[0-9]+(?:\.[0-9]+)?$/;
const POSITION = /^([+-])([0-9]+)(\.[0-9]+)?([+-])([0-9]+)(\.[0-9]+)?$/;
const SKEW = /^[+-][0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;
// Not \s, which takes a no-break space too.
const WHITE = /[ \t\r\n\v\f]+/;
const DIGITS = /^[0-9]+$/;

/**
 * @param {string} line without its LF
 * @returns {Command | undefined} undefined: the command is invalid
 */
export function parse(line) {
  const fields = line.split(WHITE);
  if (fields[0] === '') fields.shift();
  if (fields[fields.length - 1] === '') fields.pop();
  switch (fields[0]) {
    case 'IAMAT': {
      const report = fields.length === 4 ? makeReport(fields[1], fields[2], fields[3]) : undefined;
      return report && { kind: 'iamat', report };
    }
    case 'WHATSAT': {
      const question = fields.length === 4 ? makeQuestion(fields[1], fields[2], fields[3]) : undefined;
      return question && { kind: 'whatsat', question };
    }
    case 'AT': {
      if (fields.length !== 6 || !SKEW.test(fields[2])) return undefined;
      const report = makeReport(fields[3], fields[4], fields[5]);
      return report && { kind: 'at', at: { server: fields[1], skew: fields[2], report } };
    }
    case 'PEER':
      return fields.length === 2 ? { kind: 'peer', name: fields[1] } : undefined;
    default:
      return undefined;
  }
}

/** @param {string} id @param {string} position @param {string} time @returns {Report | undefined} */
function makeReport(id, position, time) {
  if (id.length > ID_MAX || !DECIMAL.test(time) || !splitPosition(position)) return undefined;
  return { id, position, time };
}

/** @param {string} id @param {string} radius @param {string} bound @returns {Question | undefined} */
function makeQuestion(id, radius, bound) {
  if (id.length > ID_MAX || !DECIMAL.test(radius) || !DIGITS.test(bound)) return undefined;
  if (compareDecimals(radius, '50') > 0 || compareDecimals(bound, '20') > 0) return undefined;
  const [whole, fraction = ''] = radius.split('.');
  const radiusMetres = Number(whole + fraction.slice(0, 3).padEnd(3, '0'));
  return { id, radiusMetres, bound: Number(bound) };
}

/**
 * Latitude and longitude as they were written, if both are in their range.
 * @param {string} position
 * @returns {[string, string] | undefined}
 */
export function splitPosition(position) {
  const match = POSITION.exec(position);
  if (!match) return undefined;
  const [, sign, latitude, fraction = '', sign2, longitude, fraction2 = ''] = match;
  if (!within(latitude, fraction, 90) || !within(longitude, fraction2, 180)) return undefined;
  return [sign + latitude + fraction, sign2 + longitude + fraction2];
}

/** @param {string} whole @param {string} fraction @param {number} limit */
function within(whole, fraction, limit) {
  const degrees = Number(whole);
  return degrees < limit || (degrees === limit && !/[1-9]/.test(fraction));
}

/** @param {string} a @param {string} b @returns {number} below, at or above zero, as for sort */
export function compareDecimals(a, b) {
  const [wholeA, fractionA = ''] = a.split('.');
  const [wholeB, fractionB = ''] = b.split('.');
  const x = wholeA.replace(/^0+/, '');
  const y = wholeB.replace(/^0+/, '');
  if (x.length !== y.length) return x.length - y.length;
  return compare(x, y) || compare(fractionA.replace(/0+$/, ''), fractionB.replace(/0+$/, ''));
}

/** @param {string} a @param {string} b */
function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * The total order of the herd's table.
 * @param {At} a @param {At} b
 */
function precedence(a, b) {
  return (
    compareDecimals(a.report.time, b.report.time) ||
    compare(a.server, b.server) ||
    compare(a.report.position, b.report.position) ||
    compare(a.skew, b.skew) ||
    compare(a.report.time, b.report.time)
  );
}

// The wall clock in nanoseconds: Date has milliseconds, hrtime an origin of its own.
const ORIGIN =
  BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6)) - process.hrtime.bigint();

/** @param {string} time @returns {string} our time minus the client's: a sign and nine decimals */
function skew(time) {
  const [whole, fraction = ''] = time.split('.');
  const theirs = BigInt(whole + fraction.slice(0, 9).padEnd(9, '0'));
  const difference = ORIGIN + process.hrtime.bigint() - theirs;
  const digits = (difference < 0n ? -difference : difference).toString().padStart(10, '0');
  return `${difference < 0n ? '-' : '+'}${digits.slice(0, -9)}.${digits.slice(-9)}`;
}

/** @param {At} at */
function lineOf({ server, skew, report }) {
  return `AT ${server} ${skew} ${report.id} ${report.position} ${report.time}\n`;
}

/** The newest report of each client. */
export class Table {
  /** @param {string} server @param {string[]} herd */
  constructor(server, herd) {
    this.server = server;
    this.herd = new Set(herd);
    /** @type {Map<string, { at: At, line: string }>} */
    this.records = new Map();
  }

  /** @param {string} id */
  get(id) {
    return this.records.get(id);
  }

  lines() {
    return [...this.records.values()].map((record) => record.line);
  }

  /**
   * @param {Report} report
   * @returns {{ line: string, news: boolean } | undefined} undefined: too long to be passed on
   */
  iamat(report) {
    const at = { server: this.server, skew: skew(report.time), report };
    const line = lineOf(at);
    if (line.length > LINE_MAX) return undefined;
    const known = this.records.get(report.id)?.at.report;
    // Said once more, a report keeps its first record.
    const duplicate = known && known.position === report.position && known.time === report.time;
    return { line, news: !duplicate && this.join(at, line) };
  }

  /** @param {At} at another server's report */
  at(at) {
    const line = lineOf(at);
    return { line, news: this.herd.has(at.server) && this.join(at, line) };
  }

  /** @param {At} at @param {string} line */
  join(at, line) {
    const known = this.records.get(at.report.id);
    if (known && precedence(at, known.at) <= 0) return false;
    this.records.set(at.report.id, { at, line });
    return true;
  }
}
