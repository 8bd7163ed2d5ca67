import { compileWasm, ImageError } from "@guestprobe/block";

/** An instance of WebAssembly larger than this is dropped after use: its memory never shrinks. */
const KEPT_MAX = 8 << 20;
const PAGE = 0x1_0000;
/** Outputs begin at such a multiple, where copying them is fastest. */
export const OUTPUT_ALIGNMENT = 64;

/** Instances of one decoder: the module is compiled once, and an instance serves one call at a time. */
export class WasmDecoder<Exports extends { readonly memory: WebAssembly.Memory }> {
  readonly #format: string;
  readonly #base64: string;
  #module: WebAssembly.Module | undefined;
  #spare: Exports | undefined;

  constructor(format: string, base64: string) {
    this.#format = format;
    this.#base64 = base64;
  }

  /**
   * Calls `use` with an instance.
   *
   * @throws ImageError `unsupported` where WebAssembly may not be compiled (a content policy that forbids it).
   */
  use<T>(work: (exports: Exports) => T): T {
    const exports = this.#spare ?? this.#instance();
    this.#spare = undefined;
    try {
      return work(exports);
    } finally {
      if (exports.memory.buffer.byteLength <= KEPT_MAX) this.#spare = exports;
    }
  }

  #instance(): Exports {
    try {
      this.#module ??= compileWasm(this.#base64);
      return new WebAssembly.Instance(this.#module).exports as unknown as Exports;
    } catch (cause) {
      const reason = `${this.#format} needs WebAssembly, which cannot be loaded here`;
      throw new ImageError("unsupported", reason, { format: this.#format, cause });
    }
  }
}

/** Grows `memory` to hold `size` bytes. Throws `limit` when there is not that much. */
export function reserveMemory(memory: WebAssembly.Memory, size: number, format: string): void {
  const missing = size - memory.buffer.byteLength;
  if (missing <= 0) return;
  try {
    memory.grow(Math.ceil(missing / PAGE));
  } catch (cause) {
    throw new ImageError("limit", `no memory for ${size} bytes of input and output`, { format, cause });
  }
}
