import type { Seal, Write } from "./spots.js";

/** An image in which bytes are changed and put back, so that a case costs its changes and not a copy. */
export class Patch {
  readonly image: Uint8Array;
  readonly #undo: { readonly at: number; readonly bytes: Uint8Array }[] = [];

  constructor(image: Uint8Array) {
    this.image = image;
  }

  readonly write: Write = (at, bytes) => {
    if (at < 0 || at + bytes.length > this.image.length) return;
    this.#undo.push({ at, bytes: this.image.slice(at, at + bytes.length) });
    this.image.set(bytes, at);
  };

  /** Renews the checksums of the stretches that were changed, and of those that cover them. */
  reseal(seals: readonly Seal[]): void {
    for (const seal of seals) {
      const touched = this.#undo.some(({ at, bytes }) => at < seal.at + seal.length && at + bytes.length > seal.at);
      if (touched) seal.renew(this.image, this.write);
    }
  }

  /** Puts back what was there. */
  restore(): void {
    for (let last = this.#undo.pop(); last !== undefined; last = this.#undo.pop()) this.image.set(last.bytes, last.at);
  }
}
