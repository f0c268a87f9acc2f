/**
 * Reads a list of the API item by item as its bytes arrive. The whole answer is never in memory, nor parsed in one go:
 * 20,000 pods are 100 MB of JSON, of which a page may be any part, since servers are free to ignore the page size.
 */

/** Bytes of one object; etcd keeps none above 1.5 MiB. */
const LARGEST_ITEM = 8 * 1024 * 1024;
/** Bytes of everything around the items. */
const LARGEST_ENVELOPE = 1024 * 1024;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const COMMA = 0x2c;
const SPACE = 0x20;

/** Depth of the list of items: inside the root object and the list itself. */
const ITEMS_DEPTH = 2;

export class ListReader {
  readonly #onItem: (item: unknown) => void;
  #depth = 0;
  #quoted = false;
  #escaped = false;
  #inItems = false;
  #ended = false;
  #item: Buffer[] = [];
  #itemLength = 0;
  /** Bytes as Latin-1, so that a character may lie in two chunks. */
  #envelope = '';

  /** @param onItem receives each item, parsed and otherwise unchecked. */
  constructor(onItem: (item: unknown) => void) {
    this.#onItem = onItem;
  }

  /** @throws Error for what cannot be a list. */
  push(chunk: Buffer): void {
    // Where the piece begins that belongs to the current item or to the envelope.
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!;
      if (this.#quoted) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === BACKSLASH) this.#escaped = true;
        else if (byte === QUOTE) this.#quoted = false;
        continue;
      }
      const between = this.#inItems && this.#depth === ITEMS_DEPTH;
      if (byte === QUOTE) {
        if (between) throw new Error('an item is not an object');
        this.#quoted = true;
      } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
        if (between) {
          if (byte === OPEN_LIST) throw new Error('an item is not an object');
          start = at;
        } else if (this.#depth === 1 && byte === OPEN_LIST) {
          this.#keep(chunk, start, at + 1);
          start = at + 1;
          this.#inItems = /[{,]\s*"items"\s*:\s*\[$/.test(this.#envelope.slice(-64));
        }
        this.#depth++;
      } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
        if (between) {
          this.#inItems = false;
          start = at;
        }
        this.#depth--;
        if (this.#depth < 0) throw new Error('it closes more than it opens');
        if (this.#inItems && this.#depth === ITEMS_DEPTH) {
          this.#keep(chunk, start, at + 1);
          start = at + 1;
          this.#complete();
        } else if (this.#depth === 0) {
          this.#keep(chunk, start, at + 1);
          start = at + 1;
          this.#ended = true;
        }
      } else if (byte > SPACE && (between ? byte !== COMMA : this.#depth === 0)) {
        throw new Error(this.#ended ? 'something follows the end' : 'an item or the whole is not an object');
      }
    }
    if (!(this.#inItems && this.#depth === ITEMS_DEPTH)) this.#keep(chunk, start, chunk.length);
  }

  /** @returns the list without its items. @throws Error where it broke off or is no JSON. */
  end(): unknown {
    if (!this.#ended) throw new Error('it breaks off in the middle');
    return JSON.parse(Buffer.from(this.#envelope, 'latin1').toString('utf8'));
  }

  #keep(chunk: Buffer, from: number, to: number): void {
    if (from >= to) return;
    if (this.#inItems) {
      this.#itemLength += to - from;
      if (this.#itemLength > LARGEST_ITEM) throw new Error('an object is larger than 8 MiB');
      this.#item.push(chunk.subarray(from, to));
    } else {
      this.#envelope += chunk.toString('latin1', from, to);
      if (this.#envelope.length > LARGEST_ENVELOPE)
        throw new Error('there is more than 1 MiB around its items');
    }
  }

  #complete(): void {
    const [only, ...more] = this.#item;
    const text = (more.length === 0 ? only! : Buffer.concat(this.#item)).toString('utf8');
    this.#item = [];
    this.#itemLength = 0;
    let item: unknown;
    try {
      item = JSON.parse(text);
    } catch (error) {
      throw new Error('an item is not JSON', { cause: error });
    }
    this.#onItem(item);
  }
}
