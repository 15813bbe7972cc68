// @ts-check
import net from 'node:net';
import { Burner } from './burn.mjs';
import { Connection } from './connection.mjs';
import { Journal } from './journal.mjs';
import { Link } from './link.mjs';
import { Places } from './places.mjs';
import { Table } from './table.mjs';

/** Connections that may wait to be accepted. */
const BACKLOG = 4096;

/** What all connections share. */
export class Server {
  /** @param {ReturnType<typeof import('./options.mjs').options>} options */
  constructor(options) {
    this.name = options.name;
    this.address = options.address;
    this.table = new Table(options.name, [...options.servers.keys()]);
    this.places = new Places(options.placesUrl, options.caFile);
    this.journal = new Journal(options.log);
    this.burner = options.burn ? new Burner() : undefined;
    /** @type {Map<string, Link>} */
    this.links = new Map();
    for (const neighbour of options.neighbours) {
      const address = options.servers.get(neighbour);
      if (!address) throw new Error(`there is a link to ${neighbour}, who is no server`);
      this.links.set(neighbour, new Link(this, neighbour, address));
    }
  }

  start() {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      new Connection(this, socket);
    });
    server.listen({ ...this.address, backlog: BACKLOG }, () => {
      for (const link of this.links.values()) link.dial();
      const { host, port } = this.address;
      process.stdout.write(`${this.name} listens on ${host}:${port}\n`);
    });
    for (const signal of ['SIGTERM', 'SIGINT']) {
      process.on(signal, () => {
        this.journal.flush();
        process.exit(0);
      });
    }
  }

  /**
   * Passes news on, to all neighbours but the one they came from.
   * @param {string[]} news @param {string | undefined} origin
   */
  flood(news, origin) {
    const text = news.join('');
    for (const [name, link] of this.links) {
      if (name === origin || !link.send(text)) continue;
      if (this.journal.isKept) for (const line of news) this.journal.note(name, '>', line);
    }
  }
}
