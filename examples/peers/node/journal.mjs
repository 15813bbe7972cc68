// @ts-check
import fs from 'node:fs';
import { now } from './clock.mjs';

const FLUSH_EVERY = 50;

/**
 * A line for each line that comes and goes. Entries wait for at most 50 ms; all that wait are one write:
 * a synchronous one, since that takes less of the loop than a stream's way through the thread pool does.
 */
export class Journal {
  /** @param {string | undefined} path */
  constructor(path) {
    this.file = path === undefined ? undefined : fs.openSync(path, 'a');
    this.entries = '';
    this.second = 0;
    this.stamp = '';
  }

  get isKept() {
    return this.file !== undefined;
  }

  /** @param {string} who @param {'<' | '>'} direction @param {string} text */
  note(who, direction, text) {
    if (this.file === undefined) return;
    if (!this.entries) setTimeout(() => this.flush(), FLUSH_EVERY);
    const time = now();
    const second = Math.trunc(time / 1000);
    if (second !== this.second) {
      this.second = second;
      this.stamp = new Date(second * 1000).toISOString().slice(0, 19);
    }
    const micros = String(Math.trunc((time - second * 1000) * 1000)).padStart(6, '0');
    this.entries += `${this.stamp}.${micros}Z ${who} ${direction} ${escape(text)}\n`;
  }

  flush() {
    if (this.file === undefined || !this.entries) return;
    const { entries } = this;
    this.entries = '';
    try {
      fs.appendFileSync(this.file, entries, 'latin1');
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
