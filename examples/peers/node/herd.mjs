// @ts-check
/**
 * The herd on Node's `net`: callbacks on one loop.
 *
 *     node herd.mjs NAME [--herd FILE] [--places-url URL] [--ca-file PEM] [--log FILE] [--burn]
 *
 * All lines of one chunk are answered with one write, and their news are one write for each neighbour,
 * before it. Its platform: lines are Latin-1 strings, one character a byte, because V8 is better with
 * strings than with buffers; a socket's write queue has no bound, so who does not read is not read from.
 */
import { options } from './options.mjs';
import { Server } from './server.mjs';

new Server(options()).start();
