/** What is named by its superblock alone, and the code in boot sectors. */
import { bufferDevice, FindingLog } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { identify, identifyBootCode, wantedRegions } from "@guestprobe/signature";
import * as layout from "@guestprobe/signature/layout";
import { CORE, diskWithCore, ENDLESS_CORE } from "../../../packages/signature/test/core-image.js";
import { fixtures } from "../../lib/fixtures.js";
import { SIGNATURE_SAMPLES } from "../../lib/signature-samples.js";
import { AnatomyBuilder, type Dissect } from "../lib/spots.js";
import { Happened, type Seed, type Target } from "../lib/target.js";

/** Larger ones have the same superblocks with more room between them. Bytes. */
const MAX_SEED = 20 << 20;
const SECTOR = 512;

/** Every word that is not zero where superblocks are looked for, and all around it in the same sector. */
const dissectWords: Dissect = (image, most) => {
  const found = new AnatomyBuilder(image, "LE", most);
  const view = viewOf(image);
  for (const { offset, length } of wantedRegions(image.length)) {
    for (let at = offset; at + SECTOR <= offset + length; at += SECTOR) {
      const used = Array.from({ length: SECTOR / 4 }, (_, word) => at + 4 * word).filter(
        (word) => view.getUint32(word) !== 0,
      );
      // Of a sector full of something, the start is the structure.
      for (const word of used.slice(0, 40)) {
        found.words(`sector ${at / SECTOR}`, word, 4, 4, word % 8 === 0).words(`halves of ${at / SECTOR}`, word, 4, 2);
      }
    }
  }
  return found;
};

/** Encrypted volumes by their headers alone: the formats' own tools are not needed to write a magic and a label. */
function encrypted(): readonly Seed[] {
  const luks = (name: string, version: number, put: (image: Buffer) => void): Seed => {
    const image = Buffer.alloc(1 << 20);
    image.write("LUKS\xba\xbe", 0, "latin1");
    image.writeUInt16BE(version, 6);
    put(image);
    return { name, bytes: new Uint8Array(image) };
  };
  return [
    luks("LUKS 1", 1, (image) => image.write("01234567-89ab-cdef-0123-456789abcdef", 0xa8)),
    luks("LUKS 2", 2, (image) => {
      image.writeBigUInt64BE(16384n, 8);
      image.write("label", 0x18);
      image.write("01234567-89ab-cdef-0123-456789abcdef", 0xa8);
    }),
  ];
}

/** The samples that are written field by field; those of tools are the fixtures. */
function written(): readonly Seed[] {
  return SIGNATURE_SAMPLES.filter(({ make, size }) => make.length === 0 && size > 0 && size <= MAX_SEED).map(
    ({ name, size, edit }) => {
      const image = Buffer.alloc(size);
      edit?.(image);
      return { name, bytes: new Uint8Array(image) };
    },
  );
}

const signature: Target = {
  name: "signature",
  dissect: dissectWords,
  seeds: () => [
    ...fixtures("signature")
      .map(({ name, image }) => ({ name, bytes: image() }))
      .filter(({ bytes }) => bytes.length <= MAX_SEED),
    ...written(),
    ...encrypted(),
  ],
  async exercise(data) {
    const happened = new Happened();
    const log = new FindingLog();
    for (const one of (await happened.attempt(() => identify(bufferDevice(data), { report: log.report }))) ?? []) {
      if (!(one.offset >= 0 && one.offset < data.length)) throw new Error(`${one.kind} lies at byte ${one.offset}`);
      happened.note(`${one.kind} ${one.version} ${one.problem} ${one.uuid === undefined} ${one.label.length === 0}`);
    }
    happened.note(...log.findings.map(({ code }) => code));
    return happened.what;
  },
};

const dissectBoot: Dissect = (image, most) => {
  const found = new AnatomyBuilder(image, "LE", most);
  found.add(layout.boot_sector, 0).add(layout.grub_boot_img, 0).add(layout.grub_stage1, 0);
  for (const entry of [0, 1]) found.add(layout.grub_blocklist, SECTOR + layout.GRUB_FIRST_BLOCKLIST - 12 * entry);
  found.add(layout.grub_decompressor, 2 * SECTOR);
  return found.words("code", 0, SECTOR, 1).words("core", 2 * SECTOR, image.length - 2 * SECTOR, 1);
};

function bootSector(name: string, ...pieces: readonly (readonly [number, string])[]): Seed {
  const bytes = Buffer.alloc(4 * SECTOR);
  for (const [at, text] of pieces) bytes.write(text, at, "latin1");
  bytes.write("\x55\xaa", 510, "latin1");
  return { name, bytes: new Uint8Array(bytes) };
}

const bootCode: Target = {
  name: "boot-code",
  dissect: dissectBoot,
  seeds: () => [
    { name: "GRUB 2", bytes: diskWithCore(CORE.stream, CORE.unpacked) },
    { name: "GRUB 2, endless", bytes: diskWithCore(ENDLESS_CORE.stream, ENDLESS_CORE.unpacked) },
    bootSector(
      "GRUB legacy",
      [0x3e, "\x03\x02\xff\0"],
      [0x42, "\x00\x80\x01\0\0\0\x00\x08"],
      [0x180, "GRUB \0Geom\0Hard Disk\0Read\0 Error"],
    ),
    bootSector("LILO", [6, "LILO"]),
    bootSector("SYSLINUX", [3, "SYSLINUX"], [16, "\x02"]),
    bootSector("Windows", [0x163, "Invalid partition table\0Error loading operating system\0Missing operating system"]),
  ],
  async exercise(data) {
    const happened = new Happened();
    const log = new FindingLog();
    const code = await happened.attempt(() =>
      identifyBootCode(bufferDevice(data), bufferDevice(data), { report: log.report }),
    );
    happened.note(
      `${code?.kind} ${code?.drive === undefined} ${code?.next === undefined} ${code?.prefix === undefined}`,
    );
    happened.note(...log.findings.map(({ code: told }) => told));
    return happened.what;
  },
};

export const SIGNATURE_TARGETS: readonly Target[] = [signature, bootCode];
