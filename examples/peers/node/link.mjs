// @ts-check
import net from 'node:net';
import { Readable } from 'node:stream';

const CONNECT_DEADLINE = 3000;
const BACKOFF_FIRST = 100;
const BACKOFF_MAX = 10_000;
/** A link that was up for so long is dialled again without back-off. */
const BACKOFF_FORGIVEN = 10_000;
/** Above this many unsent bytes a link is cut: the whole table follows when it is dialled again. */
const UNSENT_MAX = 4 << 20;

/** Our connection to a neighbour: we dial, greet, and only write. */
export class Link {
  /**
   * @param {import('./server.mjs').Server} server
   * @param {string} name
   * @param {import('./options.mjs').Address} address
   */
  constructor(server, name, address) {
    this.server = server;
    this.name = name;
    this.address = address;
    this.failures = 0;
    /** It spoke to us since we dialled it last. */
    this.hasGreeted = false;
    /** @type {net.Socket | undefined} when the link is up */
    this.socket = undefined;
    /** @type {NodeJS.Timeout | undefined} when it waits to be dialled */
    this.timer = undefined;
  }

  dial() {
    this.timer = undefined;
    this.hasGreeted = false;
    const since = performance.now();
    const socket = net.connect({ ...this.address, noDelay: true });
    socket.setTimeout(CONNECT_DEADLINE, () => socket.destroy());
    socket.on('connect', () => this.connected(socket));
    // What a neighbour says here is not for us; its end is.
    socket.resume();
    socket.on('error', () => {});
    socket.on('close', () => {
      this.socket = undefined;
      if (performance.now() - since >= BACKOFF_FORGIVEN) this.failures = 0;
      this.dialLater();
    });
  }

  /** After 100 ms to 10 s with full jitter, or at once if it has greeted us. */
  dialLater() {
    const ceiling = Math.min(BACKOFF_MAX, BACKOFF_FIRST * 2 ** Math.min(this.failures, 16));
    this.failures += 1;
    const wait = this.hasGreeted ? 0 : Math.random() * ceiling;
    this.timer = setTimeout(() => this.dial(), wait);
  }

  /** The neighbour spoke to us: it is worth dialling. */
  greeted() {
    this.hasGreeted = true;
    this.failures = 0;
    if (this.timer) {
      clearTimeout(this.timer);
      this.dial();
    }
  }

  /** @param {net.Socket} socket */
  connected(socket) {
    socket.setTimeout(0);
    // On loopback, dialling a port where nobody listens can end at ourselves (TCP's simultaneous open),
    // and would take the port from whom we want.
    if (socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress) {
      socket.destroy();
      return;
    }
    const greeting = `PEER ${this.server.name}\n`;
    this.server.journal.note(this.name, '>', greeting);
    socket.setDefaultEncoding('latin1');
    socket.write(greeting);
    // From here on it gets what is news, also between two pieces of the table.
    this.socket = socket;
    Readable.from(this.server.table.pieces()).pipe(socket, { end: false });
  }

  /** @param {string} lines @returns {boolean} false: they have to come with the next dump */
  send(lines) {
    if (!this.socket) return false;
    if (this.socket.writableLength > UNSENT_MAX) {
      this.socket.destroy();
      this.socket = undefined;
      return false;
    }
    this.socket.write(lines, 'latin1');
    return true;
  }
}
