// @ts-check
/** Work for the processor: what BURN asks for, on the loop or on worker threads. */
import fs from 'node:fs';
import os from 'node:os';
import { Worker } from 'node:worker_threads';

/** Computes until this thread has used so much CPU time. @param {number} milliseconds */
export function compute(milliseconds) {
  const end = threadMilliseconds() + milliseconds;
  let bits = 1;
  while (threadMilliseconds() < end) {
    for (let i = 0; i < 200_000; i += 1) bits = (Math.imul(bits, 1664525) + 1013904223) | 0;
  }
  return bits;
}

/**
 * Its platform: until version 23.9 Node has no clock of a thread, and process.cpuUsage() would count all
 * threads. Linux has one in a file, whose reader is this very thread.
 */
function threadMilliseconds() {
  const [nanoseconds] = fs.readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ');
  return Number(nanoseconds) / 1e6;
}

/** A worker thread, and whom to tell when it has done its work, in order. */
class Thread {
  constructor() {
    this.worker = new Worker(new URL('./burner.mjs', import.meta.url));
    /** @type {(() => void)[]} */
    this.waiting = [];
    this.worker.on('message', () => this.waiting.shift()?.());
  }

  /** @param {number} milliseconds @returns {Promise<void>} */
  compute(milliseconds) {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      this.worker.postMessage(milliseconds);
    });
  }
}

/** Does it, here or away. Node has worker threads but no pool of them. */
export class Burner {
  constructor() {
    this.threads = Array.from({ length: os.availableParallelism() }, () => new Thread());
  }

  /** Here and now. Everybody else waits. @param {number} milliseconds */
  here(milliseconds) {
    compute(milliseconds);
    return `BURNT ${milliseconds}\n`;
  }

  /** On the thread with the least to do. @param {number} milliseconds */
  async away(milliseconds) {
    const { threads } = this;
    const thread = threads.reduce((a, b) => (b.waiting.length < a.waiting.length ? b : a));
    await thread.compute(milliseconds);
    return `BURNT ${milliseconds}\n`;
  }
}
