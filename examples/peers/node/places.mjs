// @ts-check
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import tls from 'node:tls';
import { splitPosition } from './wire.mjs';

const UNKNOWN = '{"html_attributions":[],"results":[],"status":"UNKNOWN_ERROR"}';
const DEADLINE = 10_000;
const BODY_MAX = 1 << 20;

/** Google Places, by Node's own client; its agent keeps connections. */
export class Places {
  /** @param {string | undefined} url @param {string | undefined} caFile */
  constructor(url, caFile) {
    this.url = url;
    this.key = process.env.GOOGLE_PLACES_API_KEY ?? '';
    const secure = url?.startsWith('https:');
    const ca = caFile ? [...tls.rootCertificates, fs.readFileSync(caFile, 'utf8')] : undefined;
    this.get = secure ? https.get : http.get;
    this.agent = secure
      ? new https.Agent({ keepAlive: true, maxFreeSockets: 4, ca })
      : new http.Agent({ keepAlive: true, maxFreeSockets: 4 });
  }

  /**
   * The JSON and the empty line, whatever happens; Latin-1 like all our text.
   * @param {string} position
   * @param {import('./wire.mjs').Question} question
   * @returns {Promise<string>}
   */
  async near(position, question) {
    let body = UNKNOWN;
    try {
      body = cut(await this.ask(position, question), question.bound);
    } catch {
      // The command was valid: an answer that says so little is still one.
    }
    return body.replace(/(?:\r?\n){2,}/g, '\n').replace(/[\r\n]+$/, '') + '\n\n';
  }

  /**
   * @param {string} position
   * @param {import('./wire.mjs').Question} question
   * @returns {Promise<string>}
   */
  ask(position, question) {
    const halves = splitPosition(position);
    if (!this.url || !halves) return Promise.reject(new Error('nobody to ask'));
    const [latitude, longitude] = halves.map((half) => half.replace(/^\+/, ''));
    const base = this.url.replace(/\/+$/, '');
    let target = `${base}/maps/api/place/nearbysearch/json?location=${latitude},${longitude}&radius=${question.radiusMetres}`;
    if (this.key) target += `&key=${this.key}`;
    return new Promise((resolve, reject) => {
      const signal = AbortSignal.timeout(DEADLINE);
      const request = this.get(target, { agent: this.agent, signal }, (response) => {
        response.setEncoding('latin1');
        let body = '';
        response.on('data', (piece) => {
          body += piece;
          if (body.length > BODY_MAX) response.destroy(new Error('too long'));
        });
        response.on('error', reject);
        response.on('end', () => {
          if (response.statusCode === 200) resolve(body);
          else reject(new Error(`status ${response.statusCode}`));
        });
      });
      request.on('error', reject);
    });
  }
}

/**
 * At most `bound` results, otherwise byte for byte what it was: JSON.stringify would print it anew.
 * @param {string} body @param {number} bound
 */
export function cut(body, bound) {
  const answer = JSON.parse(Buffer.from(body, 'latin1').toString());
  if (typeof answer?.status !== 'string') throw new Error('no status');
  if (!Array.isArray(answer.results) || answer.results.length <= bound) return body;
  const ends = resultEnds(body);
  const { open, last } = ends;
  const keep = bound === 0 ? open : ends.each[bound - 1];
  return body.slice(0, keep) + body.slice(last);
}

/**
 * Where each value of the top-level list "results" ends, in text that is known to be JSON.
 * @param {string} body
 */
function resultEnds(body) {
  let depth = 0;
  let open = -1;
  /** @type {number[]} */
  const each = [];
  const token = /"(?:[^"\\]|\\.)*"|[[\]{}]/gs;
  let key = '';
  for (let match = token.exec(body); match; match = token.exec(body)) {
    const [text] = match;
    if (text[0] === '"') {
      if (depth === 1) key = text;
    } else if (text === '[' || text === '{') {
      depth += 1;
      if (open < 0 && depth === 2 && text === '[' && key === '"results"') open = token.lastIndex;
    } else {
      depth -= 1;
      if (open >= 0 && depth === 2) each.push(token.lastIndex);
      if (open >= 0 && depth === 1) break;
    }
  }
  return { open, each, last: each[each.length - 1] };
}
