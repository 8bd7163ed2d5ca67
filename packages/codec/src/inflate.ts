import { alignUp, throwIfAborted } from "@guestprobe/block";
import { copyTo, corrupt } from "./bound.js";
import { WASM } from "./inflate-wasm.js";
import { OUTPUT_ALIGNMENT, reserveMemory, WasmDecoder } from "./wasm.js";

/** What assembly/inflate.ts exports. */
interface InflateExports {
  readonly memory: WebAssembly.Memory;
  readonly INPUT: WebAssembly.Global;
  readonly INPUT_SLACK: WebAssembly.Global;
  readonly OUTPUT_SLACK: WebAssembly.Global;
  readonly DONE: WebAssembly.Global;
  readonly CUT: WebAssembly.Global;
  readonly FULL: WebAssembly.Global;
  begin(from: number, to: number, at: number): void;
  inflate(limit: number): number;
  getInput(): number;
  getDamage(): number;
  getOutput(): number;
  adler32(from: number, length: number): number;
}

const wasm = new WasmDecoder<InflateExports>("DEFLATE", WASM);

/** Output to make room for at first where its size is not known. */
const FIRST_ROOM = 256 * 1024;
/** Output between two looks at the signal. */
const STRETCH = 1024 * 1024;

/** DEFLATE data, decoded. */
export interface Inflated {
  /** In the decoder's memory: good until it decodes again, or ends. */
  readonly out: Uint8Array;
  /** Byte of the input after the data. */
  readonly end: number;
}

/** Decodes DEFLATE data (RFC 1951) that lies anywhere in one input, which is taken into the decoder's memory once. */
export class Inflater {
  readonly #exports: InflateExports;
  readonly #format: string;
  readonly #length: number;
  readonly #start: number;
  readonly #signal: AbortSignal | undefined;

  constructor(exports: InflateExports, format: string, src: Uint8Array, signal: AbortSignal | undefined) {
    const input: number = exports.INPUT.value;
    this.#exports = exports;
    this.#format = format;
    this.#length = src.length;
    this.#start = alignUp(input + src.length + exports.INPUT_SLACK.value, OUTPUT_ALIGNMENT);
    this.#signal = signal;
    reserveMemory(exports.memory, this.#start, format);
    copyTo(new Uint8Array(exports.memory.buffer, input), src);
  }

  /**
   * Decodes the data at byte `at` of the input.
   *
   * @param isExact Whether `capacity` bytes are what is expected, and not only the most there may be.
   * @returns undefined when there are more than `capacity` bytes.
   * @throws ImageError `corrupt`, `limit`, `aborted`.
   */
  run(at: number, capacity: number, isExact: boolean): Inflated | undefined {
    const exports = this.#exports;
    const start = this.#start;
    const input: number = exports.INPUT.value;
    let room = isExact ? capacity : Math.min(capacity, FIRST_ROOM);
    this.#reserve(room);
    exports.begin(input + at, input + this.#length, start);
    for (;;) {
      throwIfAborted(this.#signal);
      const made = (exports.getOutput() >>> 0) - start;
      // Room is made as data really arrives, and for no more than is allowed.
      if (made > room) room = Math.min(capacity, room * 2);
      this.#reserve(room);
      const status = exports.inflate(start + Math.min(room, made + STRETCH));
      const length = (exports.getOutput() >>> 0) - start;
      if (length > capacity) return undefined;
      if (status === exports.DONE.value) {
        const out = new Uint8Array(exports.memory.buffer, start, length);
        return { out, end: (exports.getInput() >>> 0) - input };
      }
      if (status === exports.FULL.value) continue;
      if (status === exports.CUT.value) throw corrupt(this.#format, "input ends inside DEFLATE data", this.#length);
      throw corrupt(this.#format, "DEFLATE data is damaged", (exports.getDamage() >>> 0) - input);
    }
  }

  /** Adler-32 (RFC 1950) of what was decoded last. */
  adler32({ out }: Inflated): number {
    return this.#exports.adler32(out.byteOffset, out.length) >>> 0;
  }

  #reserve(room: number): void {
    reserveMemory(this.#exports.memory, this.#start + room + this.#exports.OUTPUT_SLACK.value, this.#format);
  }
}

/** Calls `work` with a decoder for `src`. @throws ImageError `unsupported` where WebAssembly may not be compiled. */
export function withInflater<T>(
  format: string,
  src: Uint8Array,
  signal: AbortSignal | undefined,
  work: (inflater: Inflater) => T,
): T {
  return wasm.use((exports) => work(new Inflater(exports, format, src, signal)));
}
