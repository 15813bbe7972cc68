// @ts-check
import fs from 'node:fs';
import { parseArgs } from 'node:util';

/** @typedef {{ host: string, port: number }} Address */
/** @typedef {{ servers: Record<string, string>, links: [string, string][] }} Herd */

/** @type {Herd} */
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

/** The command line and the herd file. */
export function options() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      herd: { type: 'string' },
      'places-url': { type: 'string' },
      'ca-file': { type: 'string' },
      log: { type: 'string' },
      burn: { type: 'boolean', default: false },
    },
  });
  const [name = ''] = positionals;
  /** @type {Herd} */
  const herd = values.herd ? JSON.parse(fs.readFileSync(values.herd, 'utf8')) : COURSE;
  const servers = new Map(Object.entries(herd.servers).map(([key, text]) => [key, addressOf(text)]));
  const address = servers.get(name);
  if (!address) throw new Error(`${name} is none of ${[...servers.keys()].join(', ')}`);
  const log = values.log ?? `${name}.log`;
  return {
    name,
    address,
    servers,
    neighbours: herd.links.filter((pair) => pair.includes(name)).map(([a, b]) => (a === name ? b : a)),
    placesUrl: values['places-url'],
    caFile: values['ca-file'],
    log: log === 'none' ? undefined : log,
    burn: values.burn,
  };
}

/** @param {string} text @returns {Address} */
function addressOf(text) {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon).replace(/[[\]]/g, ''), port: Number(text.slice(colon + 1)) };
}
