// @ts-check
/** A worker thread: does what it is told, one piece after the other. */
import { parentPort } from 'node:worker_threads';
import { compute } from './burn.mjs';

parentPort?.on('message', (/** @type {number} */ milliseconds) => {
  compute(milliseconds);
  parentPort?.postMessage(milliseconds);
});
