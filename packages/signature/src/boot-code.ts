import { type BlockDevice, decodeText, findingFromError, isImageError, isZero, readUpTo } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { readCorePrefix } from "./grub-core.js";
import { BOOT_CODE_END, boot_sector, grub_boot_img, grub_stage1 } from "./layout/boot.js";
import { fat_boot_sector } from "./layout/interchange.js";
import type { IdentifyOptions } from "./types.js";

/** What the code in a boot sector is. */
export interface BootCode {
  /** `none` where there is no code; `unknown` for code that no row knows. */
  readonly kind: string;
  /** For people: "GRUB 2". */
  readonly title: string;
  /** BIOS number of the drive that it goes on from; undefined where it takes the one that it was booted from. */
  readonly drive: number | undefined;
  /** Where the next stage lies: bytes from the start of the disk. Undefined where the sector does not say. */
  readonly next: number | undefined;
  /** GRUB 2: the prefix that its core image was made with, where it can be read: "(,msdos1)/boot/grub". */
  readonly prefix: string | undefined;
}

const SECTOR = 512;
const BOOT_SIGNATURE = 0xaa55;

/** One loader, told by texts of its own and the few bytes that never vary; addresses, numbers and tables are not looked at. */
interface BootRow {
  readonly kind: string;
  readonly title: string;
  is(sector: Uint8Array, view: DataView, text: string): boolean;
}

const has =
  (...words: readonly string[]) =>
  (_sector: Uint8Array, _view: DataView, text: string): boolean =>
    words.every((word) => text.includes(word));
const startsWith = (sector: Uint8Array, ...start: readonly number[]): boolean =>
  start.every((byte, index) => sector[index] === byte);
const oemName = (view: DataView): string => decodeText(boot_sector.oem_name(view, 0));

/** What GRUB's sectors say when they fail, old and new alike. */
const GRUB_WORDS = has("GRUB \0Geom\0Hard Disk\0Read\0 Error");
/** The three messages of every Windows MBR since NT 4; the bytes before the disk signature say where they begin. */
const WINDOWS_WORDS = has("Invalid partition table", "Error loading operating system", "Missing operating system");
const WINDOWS_MESSAGES_AT = 0x1b5;

const windows = (kind: string, title: string, ...messages: readonly number[]): BootRow => ({
  kind,
  title,
  is: (sector, view, text) =>
    WINDOWS_WORDS(sector, view, text) && messages.every((byte, index) => sector[WINDOWS_MESSAGES_AT + index] === byte),
});

/** The first that fits is the answer. */
const ROWS: readonly BootRow[] = [
  {
    kind: "grub2",
    title: "GRUB 2",
    is: (sector, view, text) => GRUB_WORDS(sector, view, text) && grub_boot_img.kernel_address(view, 0) === 0x8000,
  },
  {
    kind: "grub-legacy",
    title: "GRUB legacy, stage 1",
    is: (sector, view, text) =>
      GRUB_WORDS(sector, view, text) &&
      grub_stage1.stage2_segment(view, 0) * 16 === grub_stage1.stage2_address(view, 0) &&
      grub_stage1.stage2_address(view, 0) !== 0,
  },
  { kind: "isohybrid", title: "ISOLINUX in a hybrid image", is: has("isolinux.bin missing or corrupt") },
  {
    kind: "extlinux",
    title: "EXTLINUX",
    // Later versions write the same sector as for FAT, on a volume that has no FATs.
    is: (_, view) =>
      oemName(view) === "EXTLINUX" || (oemName(view) === "SYSLINUX" && fat_boot_sector.BPB_NumFATs(view, 0) === 0),
  },
  { kind: "syslinux", title: "SYSLINUX", is: (_, view) => oemName(view) === "SYSLINUX" },
  {
    kind: "syslinux-gptmbr",
    title: "SYSLINUX's MBR for GPT disks",
    is: (sector, _, text) =>
      startsWith(sector, 0x33, 0xc0, 0xfa) && text.includes("Missing OS") && text.includes("!GPT"),
  },
  {
    kind: "syslinux-mbr",
    title: "SYSLINUX's MBR",
    is: (sector, _, text) =>
      startsWith(sector, 0x33, 0xc0, 0xfa) &&
      text.includes("Missing operating system.") &&
      text.includes("Operating system load error."),
  },
  { kind: "lilo", title: "LILO", is: (_, __, text) => text.slice(6, 10) === "LILO" || text.slice(2, 6) === "LILO" },
  windows("windows-7", "Windows 7 or later", 0x63, 0x7b, 0x9a),
  windows("windows-vista", "Windows Vista", 0x62, 0x7a, 0x99),
  windows("windows-nt", "Windows 2000, XP or 2003", 0x2c, 0x44, 0x63),
  { kind: "windows", title: "Windows, of an unknown version", is: WINDOWS_WORDS },
  { kind: "windows-bootmgr", title: "Windows boot sector, for BOOTMGR", is: has("BOOTMGR is") },
  { kind: "windows-ntldr", title: "Windows boot sector, for NTLDR", is: has("NTLDR is") },
  {
    kind: "install-mbr",
    title: "Debian's mbr",
    is: (sector, _, text) => startsWith(sector, 0xfc, 0x31, 0xc0) && text.slice(0x18c, 0x190) === "MBR ",
  },
  {
    kind: "parted",
    title: "parted's, which starts the active partition",
    is: (sector) => startsWith(sector, 0xfa, 0xb8, 0x00, 0x10, 0x8e, 0xd0, 0xbc, 0x00, 0xb0),
  },
  { kind: "not-bootable", title: "a message that the disk is not bootable", is: has("This is not a bootable disk") },
];

/**
 * Tells the code in the boot sector of a disk or partition; undefined where the sector is not marked bootable (55 AA), or
 * cannot be read.
 *
 * @param disk The disk that it lies on: what a sector points to counts from there.
 * @throws ImageError `aborted`.
 */
export async function identifyBootCode(
  device: BlockDevice,
  disk: BlockDevice = device,
  options: IdentifyOptions = {},
): Promise<BootCode | undefined> {
  let sector: Uint8Array;
  try {
    sector = await readUpTo(device, 0, SECTOR, options.signal);
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
    options.report?.(findingFromError(error));
    return undefined;
  }
  if (sector.length < SECTOR) return undefined;
  const view = viewOf(sector);
  if (boot_sector.boot_signature(view, 0) !== BOOT_SIGNATURE) return undefined;
  const code: BootCode = {
    kind: "unknown",
    title: "unknown code",
    drive: undefined,
    next: undefined,
    prefix: undefined,
  };
  if (isZero(sector.subarray(0, BOOT_CODE_END))) return { ...code, kind: "none", title: "no code" };
  const text = String.fromCharCode(...sector);
  const row = ROWS.find((each) => each.is(sector, view, text));
  if (row === undefined) return code;
  const { kind, title } = row;
  if (kind === "grub2") return grub2(view, { ...code, kind, title }, disk, options);
  if (kind === "grub-legacy") {
    const next = grub_stage1.stage2_sector(view, 0) * SECTOR;
    return { ...code, kind, title, next, drive: driveOf(grub_stage1.boot_drive(view, 0)) };
  }
  return { ...code, kind, title };
}

const driveOf = (drive: number): number | undefined => (drive === 0xff ? undefined : drive);

async function grub2(view: DataView, code: BootCode, disk: BlockDevice, options: IdentifyOptions): Promise<BootCode> {
  const sector = grub_boot_img.kernel_sector(view, 0);
  const drive = driveOf(grub_boot_img.boot_drive(view, 0));
  // A pointer past any disk is shown as none: there is no such place.
  if (sector * 512n > BigInt(Number.MAX_SAFE_INTEGER)) return { ...code, drive };
  const next = Number(sector) * SECTOR;
  return { ...code, drive, next, prefix: await readCorePrefix(disk, next, options) };
}
