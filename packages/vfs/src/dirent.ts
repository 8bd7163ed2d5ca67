import { isDotsAt, isPossibleNameAt } from "./path.js";
import type { Dirent, FileType } from "./types.js";

/**
 * A dirent whose name stays where its block has it: an array for each name of a large directory takes longer to make than
 * all else that is read of it. `name` makes one, each time that it is asked for.
 */
export class StoredDirent<Ref = unknown> implements Dirent {
  readonly ino: number;
  readonly type: FileType | undefined;
  readonly ref: Ref;
  /** Bytes of the name. */
  readonly nameLength: number;
  readonly #block: Uint8Array;
  readonly #nameAt: number;

  /** The name is the `nameLength` bytes of `block` from `nameAt` on, all of which it has; they must not change. */
  constructor(
    block: Uint8Array,
    nameAt: number,
    nameLength: number,
    ino: number,
    type: FileType | undefined,
    ref: Ref,
  ) {
    this.ino = ino;
    this.type = type;
    this.ref = ref;
    this.nameLength = nameLength;
    this.#block = block;
    this.#nameAt = nameAt;
  }

  get name(): Uint8Array {
    return new Uint8Array(this.#block.buffer, this.#block.byteOffset + this.#nameAt, this.nameLength);
  }

  /** Whether these are the bytes of its name. */
  hasName(name: Uint8Array): boolean {
    if (name.length !== this.nameLength) return false;
    const block = this.#block;
    const at = this.#nameAt;
    for (let n = 0; n < name.length; n += 1) if (block[at + n] !== name[n]) return false;
    return true;
  }

  /** Whether it is "." or "..": `isDots`. */
  get isDots(): boolean {
    return isDotsAt(this.#block, this.#nameAt, this.#nameAt + this.nameLength);
  }

  /** Whether a file can have its name: `isPossibleName`. */
  get isPossible(): boolean {
    return isPossibleNameAt(this.#block, this.#nameAt, this.#nameAt + this.nameLength);
  }

  copyName(target: Uint8Array, at: number): number {
    const block = this.#block;
    const shift = this.#nameAt - at;
    const end = at + this.nameLength;
    for (let to = at; to < end; to += 1) target[to] = block[to + shift]!;
    return end;
  }
}
