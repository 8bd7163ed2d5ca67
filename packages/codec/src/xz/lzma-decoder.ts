import { alignUp, type ImageError, throwIfAborted } from "@guestprobe/block";
import { corrupt } from "../bound.js";
import { OUTPUT_ALIGNMENT, reserveMemory, WasmDecoder } from "../wasm.js";
import { WASM } from "./lzma-wasm.js";

export interface LzmaProperties {
  readonly lc: number;
  readonly lp: number;
  readonly pb: number;
}

/** Decodes the properties byte; undefined unless lc + lp is at most 4 and pb at most 4, the limits of the xz format. */
export function lzmaProperties(byte: number): LzmaProperties | undefined {
  if (byte >= 9 * 5 * 5) return undefined;
  const lc = byte % 9;
  const lp = Math.floor(byte / 9) % 5;
  return lc + lp > 4 ? undefined : { lc, lp, pb: Math.floor(byte / 45) };
}

/** What assembly/lzma.ts exports. */
interface LzmaExports {
  readonly memory: WebAssembly.Memory;
  readonly INPUT: WebAssembly.Global;
  readonly INPUT_SLACK: WebAssembly.Global;
  readonly OUTPUT_SLACK: WebAssembly.Global;
  readonly DONE: WebAssembly.Global;
  readonly MARKER: WebAssembly.Global;
  readonly INPUT_ENDS: WebAssembly.Global;
  readonly DISTANCE: WebAssembly.Global;
  readonly PAST_SIZE: WebAssembly.Global;
  setProperties(lc: number, lp: number, pb: number): void;
  resetState(): void;
  setDictionary(start: number, size: number): void;
  setOutput(at: number): void;
  getOutput(): number;
  getInput(): number;
  isFinished(): number;
  startRange(at: number): void;
  run(soft: number, hard: number, end: number, allowMarker: boolean, isRepetitive: boolean): number;
}

const wasm = new WasmDecoder<LzmaExports>("lzma", WASM);
/** Output of one call into WebAssembly. V8 takes up its better code only when the function is entered again. */
const SLICE = 128 * 1024;
/** Bytes of output for each byte of input from which on a branch on each bit is faster: measured, on logs and listings. */
const REPETITIVE = 12;

export interface LzmaInput {
  readonly format: string;
  readonly src: Uint8Array;
  /** The bytes of `src` that may be read. */
  readonly from: number;
  readonly end: number;
  /** Bytes, as the stream's header states them. */
  readonly dictionary: number;
  /** Makes the error for data that goes on where it should end. */
  readonly pastSize: (ip: number) => ImageError;
  readonly signal: AbortSignal | undefined;
}

/** Calls `work` with a decoder for this input, which is gone afterwards, and with it the output it showed. */
export function withLzmaDecoder<T>(input: LzmaInput, work: (decoder: LzmaDecoder) => T): T {
  return wasm.use((exports) => work(new LzmaDecoder(exports, input)));
}

/**
 * The LZMA core, shared by LZMA-alone and LZMA2. Positions of the input are bytes of `src`, those of the output count
 * from its start. The output is also the dictionary, so nothing is copied twice.
 */
export class LzmaDecoder {
  readonly #exports: LzmaExports;
  readonly #input: LzmaInput;
  readonly #dictionary: number;
  /** What to add to a position in `src` to have its address. */
  readonly #shift: number;
  readonly #outStart: number;

  constructor(exports: LzmaExports, input: LzmaInput) {
    const { src, from, end, dictionary, format } = input;
    const at: number = exports.INPUT.value;
    const slack: number = exports.INPUT_SLACK.value;
    this.#exports = exports;
    this.#input = input;
    this.#shift = at - from;
    const inputEnd = at + end - from;
    this.#outStart = alignUp(inputEnd + slack, OUTPUT_ALIGNMENT);
    reserveMemory(exports.memory, this.#outStart, format);
    const memory = new Uint8Array(exports.memory.buffer);
    memory.set(src.subarray(from, end), at);
    memory.fill(0, inputEnd, this.#outStart);
    exports.setOutput(this.#outStart);
    // The reference decoder rounds so; a stream may use what its encoder was not promised.
    this.#dictionary = Math.ceil(Math.max(dictionary, 4096) / 16) * 16;
    this.resetDictionary();
  }

  /** Makes room for `size` bytes of output in all. */
  reserve(size: number): void {
    const slack: number = this.#exports.OUTPUT_SLACK.value;
    reserveMemory(this.#exports.memory, this.#outStart + size + slack, this.#input.format);
  }

  /** Bytes of output so far. */
  get op(): number {
    return (this.#exports.getOutput() >>> 0) - this.#outStart;
  }

  /** The output so far, where it lies. */
  get output(): Uint8Array {
    return new Uint8Array(this.#exports.memory.buffer, this.#outStart, this.op);
  }

  /** The byte of the input that the range coder would read next. */
  get ip(): number {
    return (this.#exports.getInput() >>> 0) - this.#shift;
  }

  /** Whether the range coder is where an encoder leaves it at the end of its data. */
  get isFinished(): boolean {
    return this.#exports.isFinished() !== 0;
  }

  setProperties({ lc, lp, pb }: LzmaProperties): void {
    this.#exports.setProperties(lc, lp, pb);
  }

  resetState(): void {
    this.#exports.resetState();
  }

  /** No match reaches before what is written from here on. */
  resetDictionary(): void {
    this.#exports.setDictionary(this.op + this.#outStart, Math.min(this.#dictionary, 0xffff_ffff));
  }

  /** Takes bytes `from` to `to` of the input into the output as they are; there must be room for them. */
  copy(from: number, to: number): void {
    const memory = new Uint8Array(this.#exports.memory.buffer);
    const at = this.op + this.#outStart;
    memory.copyWithin(at, from + this.#shift, to + this.#shift);
    this.#exports.setOutput(at + to - from);
  }

  /** Starts the range coder at byte `ip` of the input; `end` bounds what it may read. */
  startRange(ip: number, end: number): void {
    const { format, src } = this.#input;
    if (end - ip < 5) throw corrupt(format, "input ends inside the first bytes of LZMA data", ip);
    if (src[ip] !== 0) throw corrupt(format, "LZMA data does not start with a zero byte", ip);
    this.#exports.startRange(ip + this.#shift);
  }

  /**
   * Decodes symbols until `soft` bytes of output are reached. A match may go on to `hard`, no further, for which there
   * must be room; the input may be read to `end`, no further.
   *
   * @returns true when the end marker was met, which only `allowMarker` permits.
   */
  run(soft: number, hard: number, end: number, allowMarker: boolean): boolean {
    const { DONE, MARKER, INPUT_ENDS, DISTANCE, PAST_SIZE } = this.#exports;
    const { format, pastSize, signal } = this.#input;
    const outStart = this.#outStart;
    const isRepetitive = soft - this.op > REPETITIVE * (end - this.ip);
    do {
      throwIfAborted(signal);
      const stop = Math.min(soft, this.op + SLICE);
      const result = this.#exports.run(outStart + stop, outStart + hard, end + this.#shift, allowMarker, isRepetitive);
      if (result === DONE.value) continue;
      if (result === MARKER.value) return true;
      if (result === INPUT_ENDS.value) throw corrupt(format, "input ends inside LZMA data", end);
      if (result === PAST_SIZE.value) throw pastSize(this.ip);
      const reason =
        result === DISTANCE.value
          ? "match distance passes the start of the output or the dictionary"
          : "end marker where the size is known";
      throw corrupt(format, reason, this.ip);
    } while (this.op < soft);
    return false;
  }
}
