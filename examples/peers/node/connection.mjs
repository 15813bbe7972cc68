// @ts-check
import { LINE_MAX, TOO_LONG_ECHO, invalid, parse } from './wire.mjs';

/**
 * How long a client may go on talking after our end. To close with unread input would reset the
 * connection, and the reset can destroy the last answer on its way.
 */
const LINGER = 1000;

/** A client, or a neighbour once it has greeted. */
export class Connection {
  /** @param {import('./server.mjs').Server} server @param {import('node:net').Socket} socket */
  constructor(server, socket) {
    this.server = server;
    this.socket = socket;
    /** @type {string | undefined} */
    this.peer = undefined;
    /** What came and is yet to be taken. */
    this.text = '';
    /** A line's answer is being made. Those behind it wait. */
    this.waits = false;
    /** The client does not read. */
    this.isFull = false;
    this.hasEnded = false;
    /** Nothing more is taken. */
    this.isOver = false;
    socket.on('data', (chunk) => {
      this.text += chunk.toString('latin1');
      this.takeLines();
    });
    socket.on('end', () => {
      this.hasEnded = true;
      this.takeLines();
    });
    socket.on('drain', () => {
      this.isFull = false;
      this.takeLines();
    });
    // A client may go away whenever it likes.
    socket.on('error', () => {});
    socket.on('close', () => {
      this.isOver = true;
    });
  }

  /** Takes the lines that are there, and reads on if nothing has to be waited for. */
  takeLines() {
    if (this.isOver) this.text = '';
    if (this.isOver || this.isFull || this.waits) return;
    /** @type {string[]} */
    const news = [];
    let answers = '';
    let start = 0;
    // No turn of its own for every so many lines: a chunk has at most 64 KiB.
    while (!this.waits && !this.isOver) {
      const end = this.text.indexOf('\n', start);
      if (end < 0) break;
      answers += this.take(this.text.slice(start, end), news);
      start = end + 1;
    }
    this.text = this.text.slice(start);
    if (!this.waits && !this.isOver) answers += this.takeRest(news);
    if (news.length > 0) this.server.flood(news, this.peer);
    if (answers) this.write(answers);
    this.readOn();
  }

  readOn() {
    const { socket } = this;
    if (this.isOver) {
      socket.end();
      setTimeout(() => socket.destroy(), LINGER);
    } else if (this.isFull || this.waits) {
      socket.pause();
    } else if (this.hasEnded) {
      socket.end();
    } else if (socket.isPaused()) {
      socket.resume();
    }
  }

  /**
   * Takes the front of a line, if it is too long already or will get no longer.
   * @param {string[]} news @returns {string}
   */
  takeRest(news) {
    const line = this.text;
    // Not from a server: one that died may have left half a line.
    const isLast = this.hasEnded && !this.peer;
    if (line.length <= LINE_MAX && !(line && isLast)) return '';
    this.text = '';
    return this.take(line, news);
  }

  /**
   * @param {string} line without its LF
   * @param {string[]} news
   * @returns {string} the answer; none if it comes later, or to a neighbour
   */
  take(line, news) {
    const { server } = this;
    if (line.length > LINE_MAX) {
      this.isOver = true;
      return this.peer ? '' : invalid(line.slice(0, TOO_LONG_ECHO));
    }
    server.journal.note(this.peer ?? 'client', '<', line);
    const command = parse(line);
    if (this.peer) {
      const text = command?.kind === 'at' && server.table.at(command.at);
      if (text) news.push(text);
      return '';
    }
    const link = command?.kind === 'peer' && server.links.get(command.name);
    if (link) {
      // What it said before was a client's: it is news to the neighbour as well.
      server.flood(news.splice(0), undefined);
      this.peer = link.name;
      link.greeted();
      return '';
    }
    const answer = this.answer(line, command, news);
    if (answer) server.journal.note('client', '>', answer);
    return answer;
  }

  /**
   * @param {string} line
   * @param {import('./wire.mjs').Command | undefined} command
   * @param {string[]} news
   * @returns {string} the answer to a client; none if it comes later
   */
  answer(line, command, news) {
    const { table, places, burner } = this.server;
    switch (command?.kind) {
      case 'iamat': {
        const taken = table.iamat(command.report);
        if (!taken) break;
        if (taken.isNews) news.push(taken.line);
        return taken.line;
      }
      case 'whatsat': {
        const known = table.get(command.question.id);
        if (!known) break;
        this.answerLater(places.near(known, command.question));
        return '';
      }
      case 'burn':
        if (!burner) break;
        if (!command.away) return burner.here(command.milliseconds);
        this.answerLater(burner.away(command.milliseconds));
        return '';
    }
    return invalid(line);
  }

  /** @param {Promise<string>} promise */
  async answerLater(promise) {
    this.waits = true;
    const answer = await promise;
    this.waits = false;
    if (this.isOver) return;
    this.server.journal.note('client', '>', answer);
    this.write(answer);
    this.takeLines();
  }

  /** @param {string} text */
  write(text) {
    if (!this.socket.write(text, 'latin1')) this.isFull = true;
  }
}
