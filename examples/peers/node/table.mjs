// @ts-check
import { LINE_MAX, compare, compareDecimals, skew } from './wire.mjs';

/** A full table takes no new client. */
const RECORDS_MAX = 1_000_000;
const BYTES_MAX = 2 ** 30;
/** A dump goes in pieces of about this many bytes. */
const PIECE = 64 * 1024;

/** The newest report of each client: its AT line. */
export class Table {
  /** @param {string} server @param {string[]} herd */
  constructor(server, herd) {
    this.server = latin1(server);
    this.herd = new Set(herd.map(latin1));
    /** @type {Map<string, string>} */
    this.records = new Map();
    this.bytes = 0;
  }

  /** @param {string} id */
  get(id) {
    return this.records.get(id);
  }

  /** All lines, also those of clients who come meanwhile: a Map may change while it is walked. */
  *pieces() {
    let piece = '';
    for (const line of this.records.values()) {
      piece += line;
      if (piece.length < PIECE) continue;
      yield piece;
      piece = '';
    }
    if (piece) yield piece;
  }

  /**
   * @param {import('./wire.mjs').Report} report
   * @returns {{ line: string, isNews: boolean } | undefined} undefined: it cannot be kept
   */
  iamat({ id, position, time }) {
    const line = `AT ${this.server} ${skew(time)} ${id} ${position} ${time}\n`;
    const known = this.records.get(id);
    if (line.length > LINE_MAX + 1 || !this.hasRoom(line, known)) return undefined;
    // Said once more, a report keeps its first record.
    if (known?.endsWith(` ${position} ${time}\n`)) return { line, isNews: false };
    return { line, isNews: this.join(line, known) };
  }

  /**
   * @param {import('./wire.mjs').At} at another server's report
   * @returns {string | undefined} its line, if it is news
   */
  at({ server, skew, report: { id, position, time } }) {
    if (!this.herd.has(server)) return undefined;
    const line = `AT ${server} ${skew} ${id} ${position} ${time}\n`;
    const known = this.records.get(id);
    return this.hasRoom(line, known) && this.join(line, known) ? line : undefined;
  }

  /** @param {string} line @param {string | undefined} known @returns {boolean} whether it is news */
  join(line, known) {
    if (known !== undefined) {
      if (precedence(line, known) <= 0) return false;
      this.bytes -= known.length;
    }
    this.bytes += line.length;
    // A part of a string keeps all of it alive, here the chunk that the line came with: so, a copy.
    const copy = Buffer.from(line, 'latin1').toString('latin1');
    this.records.set(fieldsOf(copy).id, copy);
    return true;
  }

  /** @param {string} line @param {string | undefined} known */
  hasRoom(line, known) {
    if (this.bytes + line.length > BYTES_MAX) return false;
    return known !== undefined || this.records.size < RECORDS_MAX;
  }
}

/**
 * The total order of the herd's table, so that equal times end in the same record everywhere: by time,
 * server, position, skew, line.
 * @param {string} a @param {string} b AT lines of one client @returns {number} as for sort
 */
function precedence(a, b) {
  const order = compareDecimals(timeOf(a), timeOf(b));
  if (order !== 0) return order;
  const [x, y] = [fieldsOf(a), fieldsOf(b)];
  return (
    compare(x.server, y.server) || compare(x.position, y.position) || compare(x.skew, y.skew) || compare(a, b)
  );
}

/** @param {string} line of the table */
function timeOf(line) {
  return line.slice(line.lastIndexOf(' ') + 1, -1);
}

/** @param {string} line of the table */
export function fieldsOf(line) {
  const [, server, skew, id, position] = line.split(' ', 5);
  return { server, skew, id, position };
}

/** @param {string} text @returns {string} its UTF-8, one character a byte */
function latin1(text) {
  return Buffer.from(text).toString('latin1');
}
