/** Small files by the specifications, byte for byte. */
import { gzipSync } from "node:zlib";

export interface NoteSpec {
  readonly type: number;
  readonly desc: Uint8Array;
  /** What the header claims, where it lies. */
  readonly descsz?: number;
  readonly name?: string;
}

export interface ElfSpec {
  readonly bits?: 32 | 64;
  readonly big?: boolean;
  readonly machine?: number;
  readonly notes?: readonly NoteSpec[];
  /** Section with notes in place of a segment. */
  readonly notesIn?: "segment" | "section";
  /** Content of a section `__xen_guest`. */
  readonly guest?: string;
  /** A loaded segment. */
  readonly load?: Uint8Array;
}

export const text = (value: string): Uint8Array => new TextEncoder().encode(`${value}\0`);

export function number(value: bigint, size: 4 | 8 = 8, big = false): Uint8Array {
  const view = new DataView(new ArrayBuffer(size));
  if (size === 4) view.setUint32(0, Number(value), !big);
  else view.setBigUint64(0, value, !big);
  return new Uint8Array(view.buffer);
}

export function join(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const padded = (bytes: Uint8Array): Uint8Array => join(bytes, new Uint8Array((4 - (bytes.length % 4)) % 4));

export function makeNotes(notes: readonly NoteSpec[], big = false): Uint8Array {
  return join(
    ...notes.flatMap(({ type, desc, descsz, name = "Xen" }, index) => {
      const head = new DataView(new ArrayBuffer(12));
      head.setUint32(0, name.length + 1, !big);
      head.setUint32(4, descsz ?? desc.length, !big);
      head.setUint32(8, type, !big);
      const last = index === notes.length - 1;
      return [new Uint8Array(head.buffer), padded(text(name)), last ? desc : padded(desc)];
    }),
  );
}

/** An ELF file: System V ABI, chapter 4. */
export function makeElf(spec: ElfSpec): Uint8Array<ArrayBuffer> {
  const {
    bits = 64,
    big = false,
    machine = bits === 64 ? 62 : 3,
    notesIn = "segment",
    load = new Uint8Array([0xc3]),
  } = spec;
  const wide = bits === 64;
  const [ehsize, phsize, shsize] = wide ? [64, 56, 64] : [52, 32, 40];
  const notes = spec.notes === undefined ? undefined : makeNotes(spec.notes, big);
  const names = "\0.note\0__xen_guest\0.shstrtab\0";
  const contents: { kind: number; bytes: Uint8Array; section: number; name: number }[] = [
    { kind: 1, bytes: load, section: 0, name: 0 },
  ];
  if (notes !== undefined) {
    contents.push({
      kind: notesIn === "segment" ? 4 : 0,
      bytes: notes,
      section: notesIn === "section" ? 7 : 0,
      name: 1,
    });
  }
  if (spec.guest !== undefined) contents.push({ kind: 0, bytes: text(spec.guest), section: 1, name: 7 });
  const strings = { kind: 0, bytes: new TextEncoder().encode(names), section: 3, name: 19 };
  const segments = contents.filter(({ kind }) => kind !== 0);
  const sections = [...contents.filter(({ section }) => section !== 0), strings];
  let at = ehsize! + segments.length * phsize!;
  const place = new Map<unknown, number>();
  // Notes stand last, so that a note may be cut by the end of the file.
  const order = [
    strings,
    ...contents.filter((each) => each.bytes !== notes),
    ...contents.filter((each) => each.bytes === notes),
  ];
  const sectionsAt = at;
  at += (sections.length + 1) * shsize!;
  for (const each of order) {
    place.set(each, at);
    at += each.bytes.length;
  }
  const bytes = new Uint8Array(at);
  const view = new DataView(bytes.buffer);
  const little = !big;
  const word = (offset: number, value: number): void =>
    wide ? view.setBigUint64(offset, BigInt(value), little) : view.setUint32(offset, value, little);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, big ? 2 : 1, 1]);
  view.setUint16(16, 2, little);
  view.setUint16(18, machine, little);
  word(wide ? 32 : 28, ehsize!);
  word(wide ? 40 : 32, sectionsAt);
  const tail = wide ? 52 : 40;
  for (const [index, value] of [
    ehsize!,
    phsize!,
    segments.length,
    shsize!,
    sections.length + 1,
    sections.length,
  ].entries()) {
    view.setUint16(tail + index * 2, value, little);
  }
  for (const [index, segment] of segments.entries()) {
    const header = ehsize! + index * phsize!;
    view.setUint32(header, segment.kind, little);
    word(header + (wide ? 8 : 4), place.get(segment)!);
    word(header + (wide ? 32 : 16), segment.bytes.length);
    word(header + (wide ? 40 : 20), segment.bytes.length);
  }
  for (const [index, section] of sections.entries()) {
    const header = sectionsAt + (index + 1) * shsize!;
    view.setUint32(header, section.name, little);
    view.setUint32(header + 4, section.section, little);
    word(header + (wide ? 24 : 16), place.get(section)!);
    word(header + (wide ? 32 : 20), section.bytes.length);
  }
  for (const each of order) bytes.set(each.bytes, place.get(each)!);
  return bytes;
}

/** The notes of a Linux kernel for PV and PVH. */
export const LINUX_NOTES: readonly NoteSpec[] = [
  { type: 6, desc: text("linux") },
  { type: 5, desc: text("xen-3.0") },
  { type: 8, desc: text("generic") },
  { type: 9, desc: text("yes") },
  { type: 18, desc: number(0x100_0000n) },
];
export const PVH_NOTES: readonly NoteSpec[] = [{ type: 18, desc: number(0x100_0000n, 4) }];

export interface BzSpec {
  readonly payload?: Uint8Array;
  readonly protocol?: number;
  readonly version?: string;
  /** What the header claims, where it lies. */
  readonly length?: number;
}

/** A bzImage with one setup sector and a payload. Linux, Documentation/arch/x86/boot.rst. */
export function makeBzImage({
  payload = gzipSync(makeElf({ notes: LINUX_NOTES })),
  protocol = 0x20f,
  version = "6.1.0-test (x) #1",
  length,
}: BzSpec = {}): Uint8Array<ArrayBuffer> {
  const bytes = join(new Uint8Array(1024), payload);
  const view = new DataView(bytes.buffer);
  bytes[0x1f1] = 1;
  view.setUint16(0x1fe, 0xaa55, true);
  bytes.set(new TextEncoder().encode("HdrS"), 0x202);
  view.setUint16(0x206, protocol, true);
  view.setUint16(0x20e, 0x300 - 0x200, true);
  view.setUint16(0x236, 1, true);
  view.setUint32(0x238, 2047, true);
  view.setUint32(0x248, 0, true);
  view.setUint32(0x24c, length ?? payload.length, true);
  bytes.set(text(version), 0x300);
  return bytes;
}

/** A payload that claims to be packed by a compressor: its magic, and a size at the end. */
export const fakePayload = (magic: readonly number[], size = 100): Uint8Array =>
  join(new Uint8Array([...magic, ...new Array(40).fill(0)]), number(BigInt(size), 4));
export const LZ4_MAGIC = [0x02, 0x21, 0x4c, 0x18];
export const ZSTD_MAGIC = [0x28, 0xb5, 0x2f, 0xfd];

/** A GRUB image: modules at the start of a loaded segment. GRUB 2.06, include/grub/kernel.h. */
export function makeGrubImage(
  objects: readonly (readonly [type: number, content: Uint8Array])[],
  { bits = 64, notes = LINUX_NOTES }: { bits?: 32 | 64; notes?: readonly NoteSpec[] } = {},
): Uint8Array<ArrayBuffer> {
  const info = bits === 64 ? 24 : 12;
  const body = join(
    ...objects.map(([type, content]) => {
      const head = new DataView(new ArrayBuffer(8));
      head.setUint32(0, type, true);
      head.setUint32(4, content.length + 8, true);
      return join(new Uint8Array(head.buffer), content);
    }),
  );
  const head = new DataView(new ArrayBuffer(info));
  head.setUint32(0, 0x676d_696d, true);
  if (bits === 64) {
    head.setBigUint64(8, BigInt(info), true);
    head.setBigUint64(16, BigInt(info + body.length), true);
  } else {
    head.setUint32(4, info, true);
    head.setUint32(8, info + body.length, true);
  }
  return makeElf({ bits, notes, load: join(new Uint8Array(head.buffer), body) });
}

/** A tar archive of one file. POSIX ustar. */
export function makeTar(name: string, content: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(512 + Math.ceil(content.length / 512) * 512 + 1024);
  const put = (at: number, value: string): void => bytes.set(new TextEncoder().encode(value), at);
  put(0, name);
  put(124, content.length.toString(8).padStart(11, "0"));
  bytes[156] = 0x30;
  put(257, "ustar");
  put(512, content);
  return bytes;
}

/** A cpio archive with these files. Linux, buffer-format.rst. */
export function makeCpio(names: readonly string[]): Uint8Array<ArrayBuffer> {
  const member = (name: string, content: string): Uint8Array => {
    const hex = (value: number): string => value.toString(16).padStart(8, "0");
    const fields = [1, 0o100644, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length + 1, 0].map(hex).join("");
    return join(
      padded(new TextEncoder().encode(`070701${fields}${name}\0`)),
      padded(new TextEncoder().encode(content)),
    );
  };
  return join(...names.map((name) => member(name, "content")), member("TRAILER!!!", ""));
}
