// @ts-check
import fs from 'node:fs';

/** A line for each line that comes and goes; one write for those of a turn or so. */
export class Journal {
  /** @param {string | undefined} path */
  constructor(path) {
    this.stream = path === undefined ? undefined : fs.createWriteStream(path, { flags: 'a' });
    // A full disk is no reason to stop.
    this.stream?.on('error', () => {});
    this.pending = '';
  }

  get enabled() {
    return this.stream !== undefined;
  }

  /** @param {string} who @param {'<' | '>'} direction @param {string} text */
  note(who, direction, text) {
    if (!this.pending) setImmediate(() => this.flush());
    const now = performance.timeOrigin + performance.now();
    const second = new Date(now).toISOString().slice(0, 19);
    const micros = String(Math.trunc((now % 1000) * 1000)).padStart(6, '0');
    const end = text.endsWith('\n') ? text.slice(0, -1) : text;
    this.pending += `${second}.${micros}Z ${who} ${direction} ${escape(end)}\n`;
  }

  flush() {
    this.stream?.write(this.pending);
    this.pending = '';
  }
}

/** @param {string} text */
function escape(text) {
  return text.replace(/[^\x20-\x5b\x5d-\x7e]/g, (byte) =>
    byte === '\\' ? '\\\\' : `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
