import { untilNul } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import type { FileType } from "@guestprobe/vfs";
import { rrip_cl, rrip_pn, rrip_px, rrip_zf, susp_ce, susp_entry, susp_sp } from "./layout.js";
import { longTime, shortTime } from "./times.js";

/** Where system use goes on. */
export interface Continuation {
  /** Logical block. */
  readonly extent: number;
  /** Bytes into it. */
  readonly offset: number;
  readonly size: number;
}

/** A file stored compressed, as zisofs does it. */
export interface Zisofs {
  readonly algorithm: string;
  readonly headerSize: number;
  readonly blockShift: number;
  readonly realSize: number;
}

/** What the system use fields of one record say. What none of them says is undefined. */
export interface RockRidge {
  name: Uint8Array | undefined;
  /** Type and permissions, as st_mode. */
  mode: number | undefined;
  nlink: number | undefined;
  uid: number | undefined;
  gid: number | undefined;
  rdev: { readonly major: number; readonly minor: number } | undefined;
  mtimeNs: bigint | undefined;
  atimeNs: bigint | undefined;
  ctimeNs: bigint | undefined;
  crtimeNs: bigint | undefined;
  target: Uint8Array | undefined;
  /** Logical block of the directory that stands here, though it was moved. */
  child: number | undefined;
  /** Whether this is a directory that was moved here and is shown elsewhere. */
  isRelocated: boolean;
  zisofs: Zisofs | undefined;
  /** Bytes to pass over at the start of every other system use area. Root directory only. */
  skip: number | undefined;
  /** Whether the extension announces itself. Root directory only. */
  isAnnounced: boolean;
}

/** A field that does not fit, and where: bytes from the start of the device. */
export interface FieldProblem {
  readonly field: string;
  readonly reason: string;
  readonly offset: number;
}

/** Bytes that a field must have at least. SUSP, 5; RRIP, 4.1. */
const MIN_LENGTH: Readonly<Record<string, number>> = {
  CE: 28,
  SP: 7,
  ER: 8,
  RR: 5,
  PX: 36,
  PN: 20,
  SL: 5,
  NM: 5,
  CL: 12,
  PL: 12,
  RE: 4,
  TF: 5,
  ZF: 16,
};

/** Bits of NM's flags: more follows; the directory itself; its parent. */
const NM_CONTINUE = 0x01;
const NM_SPECIAL = 0x06;
/** Linux adds no part of a name once it would have this many bytes. fs/isofs/rock.c, get_rock_ridge_filename. */
const MAX_NAME = 254;
/** Linux gives a link's target one page. */
const MAX_TARGET = 4095;

/** Bits of TF's flags, in the order of the times. */
const TF_CREATION = 0x01;
const TF_MODIFY = 0x02;
const TF_ACCESS = 0x04;
const TF_ATTRIBUTES = 0x08;
const TF_LONG = 0x80;

/** By S_IFMT of st_mode. */
const TYPES: ReadonlyMap<number, FileType> = new Map([
  [0o100000, "file"],
  [0o040000, "dir"],
  [0o120000, "symlink"],
  [0o020000, "char"],
  [0o060000, "block"],
  [0o010000, "fifo"],
  [0o140000, "socket"],
]);

/** The type that a mode names. */
export const typeOfMode = (mode: number): FileType | undefined => TYPES.get(mode & 0o170000);

/** Gathers the system use fields of one record, area by area. Linux, fs/isofs/rock.c. */
export class RockRidgeDecoder {
  readonly fields: RockRidge = {
    name: undefined,
    mode: undefined,
    nlink: undefined,
    uid: undefined,
    gid: undefined,
    rdev: undefined,
    mtimeNs: undefined,
    atimeNs: undefined,
    ctimeNs: undefined,
    crtimeNs: undefined,
    target: undefined,
    child: undefined,
    isRelocated: false,
    zisofs: undefined,
    skip: undefined,
    isAnnounced: false,
  };
  problem: FieldProblem | undefined;
  /** Whether the name so far is cut short: the rest is dropped. */
  #nameIsFull = false;
  /** Whether the target's last component goes on, and whether it was the root, which brings its own slash. */
  #linkGoesOn = false;
  #linkAtRoot = false;

  /**
   * Takes the fields of one area.
   *
   * @param offset Where the area lies: bytes from the start of the device.
   * @returns Where they go on, if they do.
   */
  take(area: Uint8Array, offset: number): Continuation | undefined {
    const view = viewOf(area);
    let next: Continuation | undefined;
    for (let at = 0; at + susp_entry.$size <= area.length; ) {
      const length = area[at + 2]!;
      const signature = String.fromCharCode(area[at]!, area[at + 1]!);
      // Zeros fill what is left.
      if (length === 0 && area[at] === 0) break;
      const problem = fieldProblem(signature, length, area.length - at);
      if (problem !== undefined) {
        this.problem = { field: shownSignature(signature), reason: problem, offset: offset + at };
        break;
      }
      if (signature === "ST") break;
      if (signature === "CE") {
        next = { extent: susp_ce.extent(view, at), offset: susp_ce.offset(view, at), size: susp_ce.size(view, at) };
      } else {
        this.#field(signature, area.subarray(at, at + length));
      }
      at += length;
    }
    return next;
  }

  #field(signature: string, field: Uint8Array): void {
    const view = viewOf(field);
    const { fields } = this;
    switch (signature) {
      case "SP":
        if (field[4] === 0xbe && field[5] === 0xef) fields.skip = susp_sp.skip(view, 0);
        break;
      case "ER":
        if (8 + field[4]! <= field.length) fields.isAnnounced = true;
        break;
      case "PX":
        fields.mode = rrip_px.mode(view, 0);
        fields.nlink = rrip_px.nlink(view, 0);
        fields.uid = rrip_px.uid(view, 0);
        fields.gid = rrip_px.gid(view, 0);
        break;
      case "PN":
        fields.rdev = deviceOf(rrip_pn.high(view, 0), rrip_pn.low(view, 0));
        break;
      case "NM":
        this.#name(field);
        break;
      case "SL":
        this.#link(field);
        break;
      case "TF":
        this.#times(field);
        break;
      case "CL":
        fields.child = rrip_cl.location(view, 0);
        break;
      case "RE":
        fields.isRelocated = true;
        break;
      case "ZF":
        fields.zisofs = {
          algorithm: String.fromCharCode(...rrip_zf.algorithm(view, 0)),
          headerSize: rrip_zf.header_size(view, 0) * 4,
          blockShift: rrip_zf.block_shift(view, 0),
          realSize: rrip_zf.real_size(view, 0),
        };
        break;
    }
  }

  #name(field: Uint8Array): void {
    const flags = field[4]!;
    // "." and "..", and flags that nobody defined: the name of the record itself is what is left.
    if (this.#nameIsFull || (flags & NM_SPECIAL) !== 0 || (flags & ~NM_CONTINUE) !== 0) return;
    const before = this.fields.name ?? new Uint8Array(0);
    const part = untilNul(field.subarray(5));
    if (before.length + field.length - 5 >= MAX_NAME) this.#nameIsFull = true;
    else this.fields.name = joined(before, part);
  }

  /** RRIP, 4.1.3: components, each with flags and a length; a component may go on in the next field. */
  #link(field: Uint8Array): void {
    const continues = (field[4]! & 1) !== 0;
    let target = this.fields.target ?? new Uint8Array(0);
    for (let at = 5; at + 2 <= field.length; ) {
      const flags = field[at]!;
      const length = field[at + 1]!;
      if (at + 2 + length > field.length) break;
      if (target.length > 0 && !this.#linkGoesOn && !this.#linkAtRoot) target = joined(target, SLASH);
      const text = COMPONENTS[flags & 0x0e] ?? field.subarray(at + 2, at + 2 + length);
      target = joined(target, text);
      this.#linkGoesOn = (flags & 1) !== 0;
      this.#linkAtRoot = (flags & 8) !== 0;
      at += 2 + length;
    }
    if (!continues && this.#linkGoesOn) this.#linkGoesOn = false;
    if (target.length <= MAX_TARGET) this.fields.target = target;
  }

  #times(field: Uint8Array): void {
    const flags = field[4]!;
    const isLong = (flags & TF_LONG) !== 0;
    const size = isLong ? 17 : 7;
    let at = 5;
    const next = (bit: number): bigint | undefined => {
      if ((flags & bit) === 0 || at + size > field.length) return undefined;
      const raw = field.subarray(at, at + size);
      at += size;
      return isLong ? longTime(raw) : shortTime(raw);
    };
    const { fields } = this;
    // Some writers put the time of the last change of attributes where creation belongs; so Linux takes it for that.
    const creation = next(TF_CREATION);
    fields.mtimeNs = next(TF_MODIFY) ?? fields.mtimeNs;
    fields.atimeNs = next(TF_ACCESS) ?? fields.atimeNs;
    const attributes = next(TF_ATTRIBUTES);
    fields.ctimeNs = attributes ?? creation ?? fields.ctimeNs;
    if (attributes !== undefined && creation !== undefined) fields.crtimeNs = creation;
  }
}

/** A signature as text for people; one that no tool writes, as "?". */
const shownSignature = (signature: string): string => (/^[A-Z]{2}$/.test(signature) ? signature : "?");

/** Why a field cannot be taken; undefined when it can. */
function fieldProblem(signature: string, length: number, left: number): string | undefined {
  const name = `field ${shownSignature(signature)}`;
  if (length < susp_entry.$size) return `${name} of ${length} bytes, at least 4`;
  if (length > left) return `${name} of ${length} bytes, ${left} are left`;
  const min = MIN_LENGTH[signature] ?? 0;
  return length < min ? `${name} of ${length} bytes, at least ${min}` : undefined;
}

/** RRIP says that the high word is unused where device numbers have 32 bits, and writers differ. rock.c, PN. */
function deviceOf(high: number, low: number): { major: number; minor: number } {
  if (high === 0 && low > 0xff) return { major: low >>> 8, minor: low & 0xff };
  return { major: high, minor: low };
}

const SLASH = Uint8Array.of(0x2f);
/** Components that a flag stands for. */
const COMPONENTS: Readonly<Record<number, Uint8Array>> = {
  2: Uint8Array.of(0x2e),
  4: Uint8Array.of(0x2e, 0x2e),
  8: SLASH,
};

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
