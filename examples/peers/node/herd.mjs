// @ts-check
/**
 * The herd on Node's `net`: callbacks on one loop.
 *
 *     node herd.mjs NAME [--herd FILE] [--places-url URL] [--ca-file PEM] [--log FILE]
 *
 * All lines of one chunk are answered with one write. Its platform: a socket's write queue has no bound of
 * its own, so a client that does not read is paused at `writableNeedDrain`.
 */
import fs from 'node:fs';
import net from 'node:net';
import { parseArgs } from 'node:util';
import { Journal } from './journal.mjs';
import { Places } from './places.mjs';
import { LINE_MAX, Table, parse } from './wire.mjs';

const COURSE = {
  servers: {
    Bailey: '127.0.0.1:10000',
    Bona: '127.0.0.1:10001',
    Campbell: '127.0.0.1:10002',
    Clark: '127.0.0.1:10003',
    Jaquez: '127.0.0.1:10004',
  },
  links: [
    ['Clark', 'Jaquez'],
    ['Clark', 'Bona'],
    ['Campbell', 'Bailey'],
    ['Campbell', 'Bona'],
    ['Campbell', 'Jaquez'],
    ['Bona', 'Bailey'],
  ],
};

/** Above this many unsent bytes a link is cut: the whole table follows when it is dialled again. */
const LINK_UNSENT_MAX = 4 << 20;

/** A client, or a neighbour once it has greeted. */
class Connection {
  /** @param {Server} server @param {net.Socket} socket */
  constructor(server, socket) {
    this.server = server;
    this.socket = socket;
    this.partial = '';
    /** @type {string | undefined} */
    this.peer = undefined;
    this.waits = false;
    this.ended = false;
    socket.setNoDelay(true);
    socket.setEncoding('latin1');
    socket.on('data', (text) => this.receive(String(text)));
    socket.on('end', () => {
      this.ended = true;
      if (!this.waits) this.takeLines();
    });
    socket.on('drain', () => {
      if (!this.waits) this.socket.resume();
    });
    socket.on('error', () => {});
  }

  /** @param {string} text */
  receive(text) {
    this.partial += text;
    if (!this.waits) this.takeLines();
    else if (this.partial.length > LINE_MAX) this.socket.pause();
  }

  takeLines() {
    let answers = '';
    let start = 0;
    while (!this.waits) {
      const end = this.partial.indexOf('\n', start);
      if (end < 0) break;
      answers += this.take(this.partial.slice(start, end));
      start = end + 1;
    }
    this.partial = this.partial.slice(start);
    if (!this.waits && this.partial.length > LINE_MAX) {
      answers += `? ${this.partial.slice(0, 128)}\n`;
      this.partial = '';
      this.ended = true;
    }
    // Not from a server: one that died may have left half a line.
    if (!this.waits && this.ended && this.partial && !this.peer) {
      const line = this.partial;
      this.partial = '';
      answers += this.take(line);
    }
    if (answers && !this.socket.write(answers, 'latin1')) this.socket.pause();
    if (this.ended && !this.waits) this.socket.end();
  }

  /** @param {string} line @returns {string} the answer; none if it comes later, or to a neighbour */
  take(line) {
    const { server } = this;
    if (server.journal.enabled) server.journal.note(this.peer ?? 'client', '<', line);
    const command = parse(line);
    if (this.peer) {
      if (command?.kind === 'at') {
        const { line, news } = server.table.at(command.at);
        if (news) server.flood(line, this.peer);
      }
      return '';
    }
    let answer = `? ${line}\n`;
    if (command?.kind === 'iamat') {
      const taken = server.table.iamat(command.report);
      if (taken?.news) server.flood(taken.line, undefined);
      answer = taken?.line ?? answer;
    } else if (command?.kind === 'whatsat') {
      const known = server.table.get(command.question.id);
      if (known) {
        this.ask(known, command.question);
        return '';
      }
    } else if (command?.kind === 'peer') {
      const link = server.links.get(command.name);
      if (link) {
        this.peer = command.name;
        link.dialNow();
        return '';
      }
    }
    if (server.journal.enabled) server.journal.note('client', '>', answer);
    return answer;
  }

  /** @param {{ at: import('./wire.mjs').At, line: string }} known @param {import('./wire.mjs').Question} question */
  async ask({ at, line }, question) {
    this.waits = true;
    const places = await this.server.places.near(at.report.position, question);
    if (this.server.journal.enabled) this.server.journal.note('client', '>', line);
    this.socket.write(line + places, 'latin1');
    this.waits = false;
    this.socket.resume();
    this.takeLines();
  }
}

/** Our connection to a neighbour: we dial, greet, and only write. */
class Link {
  /** @param {Server} server @param {string} name @param {{ host: string, port: number }} address */
  constructor(server, name, address) {
    this.server = server;
    this.name = name;
    this.address = address;
    this.failures = 0;
    /** @type {net.Socket | undefined} */
    this.socket = undefined;
    /** @type {NodeJS.Timeout | undefined} */
    this.timer = undefined;
    this.up = false;
    this.queued = '';
  }

  dial() {
    this.timer = undefined;
    const socket = net.connect({ ...this.address, noDelay: true });
    this.socket = socket;
    socket.setTimeout(3000, () => {
      if (!this.up) socket.destroy();
    });
    socket.on('connect', () => {
      this.up = true;
      this.failures = 0;
      socket.setTimeout(0);
      const dump = this.server.table.lines().join('');
      socket.write(`PEER ${this.server.name}\n${dump}`, 'latin1');
    });
    // What a neighbour says here is not for us; its end is.
    socket.resume();
    socket.on('error', () => {});
    socket.on('close', () => {
      this.up = false;
      this.queued = '';
      const ceiling = Math.min(10_000, 100 * 2 ** Math.min(this.failures, 16));
      this.failures += 1;
      this.timer = setTimeout(() => this.dial(), Math.random() * ceiling);
    });
  }

  /** The neighbour spoke to us: it is worth dialling. */
  dialNow() {
    if (!this.timer) return;
    clearTimeout(this.timer);
    this.failures = 0;
    this.dial();
  }

  /** @param {string} line */
  send(line) {
    if (!this.up || !this.socket) return;
    if (this.socket.writableLength > LINK_UNSENT_MAX) {
      this.socket.destroy();
      return;
    }
    // One write for all that is flooded in this turn; before any answer of it, which has a write of its own.
    if (!this.queued) process.nextTick(() => this.flush());
    this.queued += line;
    if (this.server.journal.enabled) this.server.journal.note(this.name, '>', line);
  }

  flush() {
    if (this.up) this.socket?.write(this.queued, 'latin1');
    this.queued = '';
  }
}

class Server {
  /** @param {string} name @param {{ [option: string]: string | undefined }} options */
  constructor(name, options) {
    const herd = options.herd ? JSON.parse(fs.readFileSync(options.herd, 'utf8')) : COURSE;
    if (!(name in herd.servers)) throw new Error(`${name} is none of ${Object.keys(herd.servers)}`);
    this.name = name;
    this.address = addressOf(herd.servers[name]);
    this.table = new Table(name, Object.keys(herd.servers));
    this.places = new Places(options['places-url'], options['ca-file']);
    const log = options.log ?? `${name}.log`;
    this.journal = new Journal(log === 'none' ? undefined : log);
    /** @type {Map<string, Link>} */
    this.links = new Map();
    for (const [a, b] of herd.links) {
      if (a !== name && b !== name) continue;
      const other = a === name ? b : a;
      this.links.set(other, new Link(this, other, addressOf(herd.servers[other])));
    }
  }

  start() {
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      new Connection(this, socket);
    });
    server.listen({ ...this.address, backlog: 4096 }, () => {
      for (const link of this.links.values()) link.dial();
      const { host, port } = this.address;
      process.stdout.write(`${this.name} listens on ${host}:${port}\n`);
    });
    process.on('SIGTERM', () => {
      this.journal.flush();
      process.exit(0);
    });
  }

  /** @param {string} line @param {string | undefined} origin */
  flood(line, origin) {
    for (const [name, link] of this.links) if (name !== origin) link.send(line);
  }
}

/** @param {string} text */
function addressOf(text) {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon).replace(/[[\]]/g, ''), port: Number(text.slice(colon + 1)) };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    herd: { type: 'string' },
    'places-url': { type: 'string' },
    'ca-file': { type: 'string' },
    log: { type: 'string' },
  },
});
new Server(positionals[0] ?? '', values).start();
