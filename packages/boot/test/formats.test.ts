import { gzipSync } from "node:zlib";
import { ImageError, isImageError, polledSignal } from "@guestprobe/block";
import {
  compressionOf,
  hostScript,
  inspectKernel,
  judgeGrubPv,
  judgePv,
  judgePvh,
  parseBzImage,
  parseElf,
  parseHostImage,
  readPe,
  readTar,
  readXenNotes,
  recogniseInitrd,
} from "@guestprobe/boot";
import { describe, expect, test } from "vitest";
import {
  fakePayload,
  join,
  LINUX_NOTES,
  LZ4_MAGIC,
  makeBzImage,
  makeCpio,
  makeElf,
  makeGrubImage,
  makeTar,
  number,
  PVH_NOTES,
  text,
  ZSTD_MAGIC,
} from "./build.js";

const codeOf = (run: () => unknown): string => {
  try {
    run();
    return "none";
  } catch (error) {
    return isImageError(error) ? error.code : String(error);
  }
};

describe("ELF", () => {
  for (const bits of [32, 64] as const) {
    for (const big of [false, true]) {
      test(`${bits} bits, ${big ? "big" : "little"} endian: notes of a segment`, () => {
        const notes = [
          { type: 6, desc: text("linux") },
          { type: 18, desc: number(0x100000n, bits === 64 ? 8 : 4, big) },
        ];
        const elf = parseElf(makeElf({ bits, big, notes }));
        expect(elf).toMatchObject({ bits, endian: big ? "BE" : "LE", machine: bits === 64 ? 62 : 3 });
        expect(readXenNotes(elf)).toEqual({ source: "PT_NOTE", guestOs: "linux", phys32Entry: 0x100000n });
      });
    }
  }

  test("notes of a section, where no segment has any", () => {
    const elf = parseElf(makeElf({ notes: LINUX_NOTES, notesIn: "section" }));
    expect(readXenNotes(elf)).toMatchObject({ source: "SHT_NOTE", loader: "generic", paeMode: "yes" });
  });

  test("the text form, where there are no notes", () => {
    const guest = "GUEST_OS=linux,XEN_VER=xen-3.0,VIRT_BASE=0xC0000000,HYPERCALL_PAGE=0x102,PAE=yes,LOADER=generic";
    const elf = parseElf(makeElf({ bits: 32, guest }));
    expect(readXenNotes(elf)).toEqual({
      source: "__xen_guest",
      guestOs: "linux",
      xenVersion: "xen-3.0",
      virtBase: 0xc000_0000n,
      hypercallPage: 0x10_2000n,
      paeMode: "yes",
      loader: "generic",
    });
  });

  test("a last note that is cut by the end of the file is used as far as it goes", () => {
    const notes = [...LINUX_NOTES.slice(0, 3), { type: 9, desc: text("yes"), descsz: 12 }];
    const elf = parseElf(makeElf({ bits: 32, notes }));
    expect(readXenNotes(elf)).toMatchObject({ paeMode: "yes", truncated: true });
    expect(judgeGrubPv(elf, readXenNotes(elf), "i386").ok).toBe(true);
  });

  test("notes of another name are no Xen notes", () => {
    const elf = parseElf(makeElf({ notes: [{ type: 6, desc: text("linux"), name: "GNU" }] }));
    expect(readXenNotes(elf)).toBeUndefined();
    expect(judgeGrubPv(elf, undefined, "x86_64").ok).toBe(false);
  });

  test("no magic, and headers that cannot be", () => {
    expect(codeOf(() => parseElf(text("MZ")))).toBe("not-this-format");
    const good = makeElf({ notes: LINUX_NOTES });
    for (const [at, value] of [
      [4, 3],
      [5, 9],
      [56, 0xff],
      [57, 0xff],
      [54, 3],
      [39, 1],
    ] as const) {
      const bad = good.slice();
      bad[at] = value;
      expect(
        codeOf(() => parseElf(bad)),
        `byte ${at}`,
      ).toBe("corrupt");
    }
    for (let length = 4; length < 64; length += 1)
      expect(codeOf(() => parseElf(good.subarray(0, length)))).toBe("corrupt");
  });
});

describe("who starts it", () => {
  const judged = (spec: Parameters<typeof makeElf>[0]) => {
    const elf = parseElf(makeElf(spec));
    const notes = readXenNotes(elf);
    return [judgePv(elf, notes).ok, judgePvh(elf, notes).ok, judgeGrubPv(elf, notes, "x86_64").ok];
  };
  const without = (type: number) => LINUX_NOTES.filter((note) => note.type !== type);

  test("toolstack PV, toolstack PVH, GRUB PV", () => {
    expect(judged({ notes: LINUX_NOTES })).toEqual([true, true, true]);
    expect(judged({})).toEqual([false, false, false]);
    // PVH needs its entry point alone; GRUB asks for any note.
    expect(judged({ notes: PVH_NOTES })).toEqual([false, true, true]);
    expect(judged({ notes: without(18) })).toEqual([true, false, true]);
    expect(judged({ notes: without(5) })).toEqual([false, true, true]);
    // LOADER or GUEST_OS is enough.
    expect(judged({ notes: without(8) })[0]).toBe(true);
    expect(judged({ notes: without(6) })[0]).toBe(true);
    expect(judged({ notes: [...without(8), { type: 8, desc: text("other") }] })).toEqual([true, true, false]);
  });

  test("features that are required", () => {
    const features = (value: string) => judged({ notes: [...LINUX_NOTES, { type: 10, desc: text(value) }] })[0];
    expect(features("!writable_page_tables|pae_pgdir_above_4gb")).toBe(true);
    expect(features("dom0")).toBe(true);
    expect(features("!dom0")).toBe(false);
    expect(features("!never_heard_of")).toBe(false);
  });

  test("PADDR_OFFSET without VIRT_BASE", () => {
    const offset = { type: 4, desc: number(0n) };
    expect(judged({ notes: [offset, ...LINUX_NOTES] })[0]).toBe(false);
    expect(judged({ notes: [offset, { type: 3, desc: number(0n) }, ...LINUX_NOTES] })[0]).toBe(true);
  });

  test("widths under GRUB, in its words", () => {
    const elf = parseElf(makeElf({ notes: LINUX_NOTES }));
    expect(judgeGrubPv(elf, readXenNotes(elf), "i386").reason).toBe("incompatible architecture: 4");
  });
});

describe("bzImage", () => {
  test("header, version and payload", () => {
    const bytes = makeBzImage();
    expect(parseBzImage(bytes)).toMatchObject({
      protocol: 0x20f,
      version: "6.1.0-test (x) #1",
      is64: true,
      cmdlineSize: 2047,
      payload: { offset: 1024, length: bytes.length - 1024 },
    });
  });

  test("a payload past the end of the file", () => {
    expect(codeOf(() => parseBzImage(makeBzImage({ length: 1 << 30 })))).toBe("corrupt");
  });

  test("the kernel inside is judged", async () => {
    expect(await inspectKernel(makeBzImage())).toMatchObject({
      kind: "bzImage",
      compression: "gzip",
      arch: "x86_64",
      release: "6.1.0-test",
      pv: true,
      pvh: true,
    });
    const onlyPvh = await inspectKernel(makeBzImage({ payload: gzipSync(makeElf({ notes: PVH_NOTES })) }));
    expect(onlyPvh).toMatchObject({ pv: false, pvh: true });
  });

  test("plain and gzipped ELF", async () => {
    const elf = makeElf({ notes: LINUX_NOTES });
    expect(await inspectKernel(elf)).toMatchObject({ kind: "elf", pv: true });
    expect(await inspectKernel(gzipSync(elf))).toMatchObject({ kind: "gzip-elf", compression: "gzip", pv: true });
  });

  test("a segment that goes on past the end of the file is no kernel to GRUB", async () => {
    const elf = makeElf({ notes: LINUX_NOTES });
    const sound = parseElf(elf);
    expect(judgeGrubPv(sound, readXenNotes(sound), "x86_64").ok).toBe(true);
    // p_filesz of the first segment.
    new DataView(elf.buffer).setBigUint64(64 + 32, BigInt(elf.length), true);
    const cut = parseElf(elf);
    expect(judgeGrubPv(cut, readXenNotes(cut), "x86_64")).toEqual({ ok: false, reason: "premature end of file" });
    // What is not at hand is not missing.
    const head = parseElf(elf, elf.length * 2);
    expect(judgeGrubPv(head, readXenNotes(head), "x86_64").ok).toBe(true);
  });

  test("notes in sections alone are found too, at the end of the payload", async () => {
    const payload = gzipSync(makeElf({ notes: LINUX_NOTES, notesIn: "section" }));
    expect(await inspectKernel(makeBzImage({ payload }))).toMatchObject({ pv: true, notes: { source: "SHT_NOTE" } });
  });

  test("a payload that claims too much is not unpacked", async () => {
    const kernel = await inspectKernel(makeBzImage({ payload: fakePayload(ZSTD_MAGIC, 0xffff_ffff) }));
    expect(kernel).toMatchObject({ kind: "bzImage", compression: "zstd", pv: undefined });
    expect(kernel.error?.code).toBe("limit");
  });

  test("a damaged payload is kept apart from the header", async () => {
    const kernel = await inspectKernel(makeBzImage({ payload: fakePayload(LZ4_MAGIC) }));
    expect(kernel).toMatchObject({ kind: "bzImage", compression: "lz4", release: "6.1.0-test", pv: undefined });
    expect(kernel.error).toBeDefined();
  });

  test("magic of each compressor", () => {
    const heads = {
      gzip: [0x1f, 0x8b],
      bzip2: [0x42, 0x5a, 0x68],
      xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0],
      zstd: ZSTD_MAGIC,
      lzma: [0x5d, 0],
      lzo: [0x89, 0x4c, 0x5a, 0x4f, 0],
      lz4: LZ4_MAGIC,
    };
    for (const [name, head] of Object.entries(heads)) expect(compressionOf(new Uint8Array(head))).toBe(name);
    expect(compressionOf(text("no"))).toBeUndefined();
  });
});

describe("EFI programs", () => {
  const makePe = (names: readonly string[]): Uint8Array => {
    const bytes = new Uint8Array(1024);
    const view = new DataView(bytes.buffer);
    bytes.set([0x4d, 0x5a]);
    view.setUint32(0x3c, 0x80, true);
    bytes.set([0x50, 0x45, 0, 0], 0x80);
    view.setUint16(0x84, 0x8664, true);
    view.setUint16(0x86, names.length, true);
    view.setUint16(0x94, 16, true);
    for (const [index, name] of names.entries()) {
      const at = 0x80 + 24 + 16 + index * 40;
      bytes.set(new TextEncoder().encode(name), at);
      view.setUint32(at + 16, 16, true);
      view.setUint32(at + 20, 512 + index * 16, true);
    }
    return bytes;
  };

  test("sections of a unified kernel image", async () => {
    const bytes = makePe([".osrel", ".cmdline", ".initrd", ".linux"]);
    expect(readPe(bytes)?.sections.map(({ name }) => name)).toEqual([".osrel", ".cmdline", ".initrd", ".linux"]);
    expect(await inspectKernel(bytes)).toMatchObject({ kind: "efi", efiStub: true });
  });

  test("sections past the end of the file are left out; no PE signature is no EFI program", () => {
    const bytes = makePe([".text"]);
    new DataView(bytes.buffer).setUint32(0x80 + 24 + 16 + 16, 0x7fff_ffff, true);
    expect(readPe(bytes)?.sections).toEqual([]);
    bytes[0x80] = 0;
    expect(readPe(bytes)).toBeUndefined();
  });
});

describe("ramdisks", () => {
  const recognise = (bytes: Uint8Array) =>
    recogniseInitrd(bytes.length, async (offset, length) => bytes.subarray(offset, offset + length));

  test("microcode in front, zeros, then a compressed archive", async () => {
    const early = makeCpio(["kernel/x86/microcode/GenuineIntel.bin"]);
    const bytes = join(early, new Uint8Array(512), gzipSync(makeCpio(["init"])));
    expect(await recognise(bytes)).toEqual({
      parts: [
        { offset: 0, kind: "cpio", microcode: true },
        { offset: early.length + 512, kind: "gzip", microcode: false },
      ],
      strangeAt: undefined,
    });
  });

  test("a plain archive, something else, a cut archive, nothing", async () => {
    expect((await recognise(makeCpio(["init"]))).parts).toEqual([{ offset: 0, kind: "cpio", microcode: false }]);
    expect(await recognise(text("no ramdisk"))).toEqual({ parts: [], strangeAt: 0 });
    expect((await recognise(makeCpio(["init"]).subarray(0, 150))).parts).toHaveLength(1);
    expect(await recognise(new Uint8Array())).toEqual({ parts: [], strangeAt: undefined });
  });
});

describe("GRUB images", () => {
  const script = "search -s -f /x\n";
  for (const bits of [32, 64] as const) {
    test(`${bits} bits: prefix, configuration and memdisk`, () => {
      const image = parseHostImage(
        makeGrubImage(
          [
            [1, makeTar("./grub.cfg", script)],
            [2, text("normal (memdisk)/grub.cfg\n")],
            [3, text("(memdisk)/boot/grub")],
          ],
          { bits },
        ),
      );
      expect(image).toMatchObject({
        arch: bits === 64 ? "x86_64" : "i386",
        prefix: "(memdisk)/boot/grub",
        config: "normal (memdisk)/grub.cfg\n",
      });
      expect(hostScript(image)).toEqual({ name: "(memdisk)/grub.cfg", text: script });
    });
  }

  test("the magic elsewhere is not taken for the modules", () => {
    const magic = new TextEncoder().encode("xmimg0000000000000000000");
    expect(codeOf(() => parseHostImage(makeElf({ notes: LINUX_NOTES, load: magic })))).toBe("not-this-format");
  });

  test("objects that run past the end", () => {
    const bytes = makeGrubImage([[3, text("/boot/grub")]]);
    const at = new TextDecoder("latin1").decode(bytes).indexOf("mimg");
    const view = new DataView(bytes.buffer);
    view.setUint32(at + 24 + 4, 0x7fff_ffff, true);
    expect(codeOf(() => parseHostImage(bytes))).toBe("corrupt");
    view.setUint32(at + 24 + 4, 0, true);
    expect(codeOf(() => parseHostImage(bytes))).toBe("corrupt");
  });

  test("a tar member that runs past the end", () => {
    const bytes = makeTar("grub.cfg", script);
    bytes.set(new TextEncoder().encode("77777777777"), 124);
    expect(codeOf(() => readTar(bytes))).toBe("corrupt");
  });
});

describe("a signal", () => {
  // A frame of a thousand blocks, each one byte repeated 128 Ki times: 125 MiB of kernel from 4 KB.
  const blocks = Array.from({ length: 1000 }, (_, n) => [n === 999 ? 0x03 : 0x02, 0, 0x10, 0]).flat();
  const payload = join(new Uint8Array([...ZSTD_MAGIC, 0x00, 0x58, ...blocks]), number(1000n << 17n, 4));

  test("ends the unpacking of a kernel in the midst of it", async () => {
    let asked = 0;
    const signal = polledSignal(() => {
      asked += 1;
      if (asked === 10) throw new ImageError("aborted", "enough");
    });
    const answer: unknown = await inspectKernel(makeBzImage({ payload }), { signal }).catch((error: unknown) => error);
    expect(answer).toMatchObject({ code: "aborted", reason: "enough" });
    expect(asked).toBe(10);
    // Without it the thousand blocks hold no ELF file, which is kept and not thrown.
    expect(await inspectKernel(makeBzImage({ payload }))).toMatchObject({ kind: "bzImage", elf: undefined });
  });
});
