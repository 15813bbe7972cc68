// @ts-check
import fs from 'node:fs';
import { now } from './clock.mjs';

const FLUSH_EVERY = 50;
const BUFFER = 256 * 1024;

/**
 * A line for each line that comes and goes. Entries wait for at most 50 ms; all that wait are one write:
 * a synchronous one, since that takes less of the loop than a stream's way through the thread pool does.
 * They wait as bytes: the collector would copy strings about meanwhile.
 */
export class Journal {
  /** @param {string | undefined} path */
  constructor(path) {
    this.file = path === undefined ? undefined : fs.openSync(path, 'a');
    this.buffer = Buffer.alloc(path === undefined ? 0 : BUFFER);
    this.used = 0;
    this.second = 0;
    this.stamp = '';
  }

  get isKept() {
    return this.file !== undefined;
  }

  /** @param {string} who @param {'<' | '>'} direction @param {string} text */
  note(who, direction, text) {
    if (this.file === undefined) return;
    const time = now();
    const second = Math.trunc(time / 1000);
    if (second !== this.second) {
      this.second = second;
      this.stamp = new Date(second * 1000).toISOString().slice(0, 19);
    }
    const micros = String(Math.trunc((time - second * 1000) * 1000)).padStart(6, '0');
    const entry = `${this.stamp}.${micros}Z ${who} ${direction} ${escape(text)}\n`;
    if (this.used + entry.length > BUFFER) this.flush();
    if (entry.length > BUFFER) {
      this.append(Buffer.from(entry, 'latin1'));
      return;
    }
    if (this.used === 0) setTimeout(() => this.flush(), FLUSH_EVERY);
    this.used += this.buffer.write(entry, this.used, 'latin1');
  }

  flush() {
    if (this.used > 0) this.append(this.buffer.subarray(0, this.used));
    this.used = 0;
  }

  /** @param {Uint8Array} bytes */
  append(bytes) {
    try {
      if (this.file !== undefined) fs.appendFileSync(this.file, bytes);
    } catch {
      // A full disk is no reason to stop.
    }
  }
}

/** @param {string} text as one line, without LFs at its end */
function escape(text) {
  return text.replace(/\n+$/, '').replace(/[^\x20-\x5b\x5d-\x7e]/g, (byte) => {
    if (byte === '\\') return '\\\\';
    if (byte === '\n') return '\\n';
    return `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}
