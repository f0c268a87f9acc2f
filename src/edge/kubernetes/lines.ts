/** Splits what a watch sends into its lines, one event each. */

const NEWLINE = 0x0a;

export class LineSplitter {
  readonly #largest: number;
  #parts: Buffer[] = [];
  #length = 0;

  /** @param largest bytes of one line. */
  constructor(largest: number) {
    this.#largest = largest;
  }

  /** @returns the lines that this chunk completes; empty ones are left out. @throws Error for a line that is too long. */
  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      this.#keep(chunk.subarray(start, end === -1 ? chunk.length : end));
      if (end === -1) return lines;
      const line = Buffer.concat(this.#parts).toString('utf8').trim();
      if (line !== '') lines.push(line);
      this.#parts = [];
      this.#length = 0;
      start = end + 1;
    }
  }

  #keep(part: Buffer): void {
    this.#length += part.length;
    if (this.#length > this.#largest) throw new Error(`a line is longer than ${this.#largest / 1024} KiB`);
    if (part.length > 0) this.#parts.push(part);
  }
}
