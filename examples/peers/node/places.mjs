// @ts-check
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import tls from 'node:tls';
import { fieldsOf } from './table.mjs';

const UNKNOWN = '{"html_attributions":[],"results":[],"status":"UNKNOWN_ERROR"}';
const DEADLINE = 10_000;
const BODY_MAX = 1 << 20;

/** Google Places, by Node's own client. Its platform: the agent keeps connections, and resumes sessions. */
export class Places {
  /** @param {string | undefined} url @param {string | undefined} caFile */
  constructor(url, caFile) {
    this.url = url?.replace(/\/+$/, '');
    this.key = (process.env.GOOGLE_PLACES_API_KEY ?? '').trim();
    const keep = { keepAlive: true, maxFreeSockets: 4 };
    if (url?.startsWith('https:')) {
      const ca = caFile ? [...tls.rootCertificates, fs.readFileSync(caFile, 'utf8')] : undefined;
      this.get = https.get;
      // Made once: with `ca` alone, each connection parses all the roots anew, for 5 to 20 ms.
      const secureContext = tls.createSecureContext({ ca });
      this.agent = new https.Agent({ ...keep, secureContext });
    } else {
      this.get = http.get;
      this.agent = new http.Agent(keep);
    }
  }

  /**
   * A record, the JSON and the empty line, whatever happens; Latin-1 like all our text.
   * @param {string} record
   * @param {import('./wire.mjs').Question} question
   */
  async near(record, { radiusMetres, bound }) {
    let body = UNKNOWN;
    try {
      const signal = AbortSignal.timeout(DEADLINE);
      body = cut(await this.ask(this.target(fieldsOf(record).position, radiusMetres), signal), bound);
    } catch {
      // The command was valid: an answer that says so little is still one.
    }
    // A refusal may repeat the key.
    if (this.key) body = body.replaceAll(this.key, '***');
    return `${record}${body.replace(/(?:\r?\n)+/g, '\n').replace(/\n$/, '')}\n\n`;
  }

  /** @param {string} position @param {number} radiusMetres */
  target(position, radiusMetres) {
    if (!this.url) throw new Error('nobody to ask');
    const [, latitude, longitude] = /^\+?(.+)(?=[+-])\+?(.+)$/.exec(position) ?? [];
    const query = `location=${latitude},${longitude}&radius=${radiusMetres}`;
    const key = this.key && `&key=${encodeURIComponent(this.key)}`;
    return `${this.url}/maps/api/place/nearbysearch/json?${query}${key}`;
  }

  /** @param {string} target @param {AbortSignal} signal @returns {Promise<Buffer>} */
  ask(target, signal) {
    return new Promise((resolve, reject) => {
      const request = this.get(target, { agent: this.agent, signal }, (response) => {
        /** @type {Buffer[]} */
        const pieces = [];
        let size = 0;
        response.on('data', (piece) => {
          pieces.push(piece);
          size += piece.length;
          if (size > BODY_MAX) response.destroy(new Error('too long'));
        });
        response.on('error', reject);
        response.on('end', () => {
          if (response.statusCode === 200) resolve(Buffer.concat(pieces));
          else reject(new Error(`status ${response.statusCode}`));
        });
      });
      request.on('error', (/** @type {NodeJS.ErrnoException} */ error) => {
        // It was closed as idle: another one.
        if (request.reusedSocket && error.code === 'ECONNRESET') resolve(this.ask(target, signal));
        else reject(error);
      });
    });
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * At most `bound` results, otherwise byte for byte what it was: JSON.stringify would print it anew.
 * @param {Buffer} body @param {number} bound @returns {string} Latin-1
 */
function cut(body, bound) {
  const answer = JSON.parse(decoder.decode(body));
  if (typeof answer?.status !== 'string') throw new Error('no status');
  // With a refusal there may be none.
  const { results = answer.status === 'OK' ? undefined : [] } = answer;
  if (!Array.isArray(results) || !results.every(isObject)) throw new Error('no results');
  const text = body.toString('latin1');
  if (results.length <= bound) return text;
  const { opening, ends, closing } = locate(text);
  if (bound === 0) return text.slice(0, opening) + text.slice(closing);
  return text.slice(0, ends[bound - 1]) + text.slice(ends[results.length - 1]);
}

/** @param {unknown} value */
function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Where the top-level list "results" opens, where each object of it ends, and where it closes, in text that
 * is known to be JSON with such a list.
 * @param {string} text
 */
function locate(text) {
  let [depth, opening, closing] = [0, -1, -1];
  /** @type {number[]} */
  const ends = [];
  let name = '';
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]+|\\.)*"|[[\]{}]/gs)) {
    if (token[0] === '"') {
      if (depth === 1) name = token;
    } else if (token === '[' || token === '{') {
      depth += 1;
      if (depth === 2 && name === '"results"') opening = index + 1;
    } else {
      depth -= 1;
      if (opening >= 0 && depth === 2) ends.push(index + 1);
      if (opening >= 0 && depth === 1) {
        closing = index;
        break;
      }
    }
  }
  return { opening, ends, closing };
}
