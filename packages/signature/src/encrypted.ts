import { decodeText, equalBytes } from "@guestprobe/block";
import { bde_header, fve_metadata, luks_phdr, luks2_hdr, verity_sb } from "./layout/members.js";
import { bytesOf, type Found, labelOf, type ReadMore, type SignatureRow, uuidOf, uuidOfText } from "./row.js";
import type { Window } from "./window.js";

const LUKS_MAGIC = bytesOf("LUKS\xba\xbe");
/** The second header of LUKS2 says so; it lies at a power of two that depends on the size of the first. */
const LUKS2_MAGIC_2ND = bytesOf("SKUL\xba\xbe");
const LUKS2_2ND_PLACES = [0x4000, 0x8000, 0x1_0000];

function decodeLuks(window: Window): Found | undefined {
  return luksHeader(window, 0, LUKS_MAGIC) ?? secondLuksHeader(window);
}

function secondLuksHeader(window: Window): Found | undefined {
  for (const offset of LUKS2_2ND_PLACES) {
    const found = luksHeader(window, offset, LUKS2_MAGIC_2ND);
    if (found !== undefined) return { ...found, problem: "the first header is gone, the second one is there" };
  }
  return undefined;
}

function luksHeader(window: Window, offset: number, magic: Uint8Array): Found | undefined {
  const view = window.view(offset, luks2_hdr.$size);
  if (view === undefined || !equalBytes(luks2_hdr.magic(view, 0), magic)) return undefined;
  const version = luks2_hdr.version(view, 0);
  if (version === 2 && luks2_hdr.hdr_offset(view, 0) !== BigInt(offset)) return undefined;
  return {
    offset,
    version: String(version),
    uuid: uuidOfText(luks_phdr.uuid(view, 0)),
    ...(version === 2 ? { label: labelOf(luks2_hdr.label(view, 0)) } : {}),
  };
}

const BDE_VISTA = "\xeb\x52\x90-FVE-FS-";
const BDE_WINDOWS_7 = "\xeb\x58\x90-FVE-FS-";
const BDE_TO_GO = "\xeb\x58\x90MSWIN4.1";

/** Where the boot sector says that BitLocker's metadata lies; 0n where it says nothing of the kind. */
export function bitLockerMetadata(window: Window): bigint {
  const view = window.view(0, bde_header.$size);
  if (view === undefined) return 0n;
  const signature = bde_header.signature(view, 0);
  if (equalBytes(signature, bytesOf(BDE_WINDOWS_7))) return bde_header.fve_metadata_offset(view, 0);
  if (equalBytes(signature, bytesOf(BDE_TO_GO))) return bde_header.fve_metadata_offset_togo(view, 0);
  return 0n;
}

function decodeBitLocker(window: Window): Found | undefined {
  const view = window.view(0, bde_header.$size);
  if (view === undefined) return undefined;
  const signature = bde_header.signature(view, 0);
  if (!equalBytes(signature, bytesOf(BDE_VISTA)) && bitLockerMetadata(window) === 0n) return undefined;
  if (!equalBytes(signature, bytesOf(BDE_WINDOWS_7))) return { offset: 0 };
  const serial = bde_header.volume_serial(view, 0);
  return { offset: 0, uuid: serial === 0 ? undefined : String(serial | 0).padStart(16, "0") };
}

/** A boot sector of a removable drive looks like FAT's: the metadata it points to decides. */
async function confirmBitLocker(window: Window, found: Found, read: ReadMore): Promise<Found> {
  const at = bitLockerMetadata(window);
  if (at === 0n) return found;
  const data = at < BigInt(window.size) ? await read(Number(at), fve_metadata.$size) : undefined;
  const view = data && new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (view === undefined || decodeText(fve_metadata.signature(view, 0)) !== "-FVE-FS-") {
    return { ...found, problem: `no metadata at byte ${at}, where the boot sector says it is` };
  }
  return { ...found, version: String(fve_metadata.version(view, 0)) };
}

export const CRYPTO_ROWS: readonly SignatureRow[] = [
  {
    kind: "DM_verity_hash",
    title: "hash tree of dm-verity",
    usage: "crypto",
    source: "cryptsetup, DMVerity",
    magics: [{ at: 0, is: "verity\0\0" }],
    decode(window) {
      const view = window.view(0, verity_sb.$size);
      if (view === undefined || verity_sb.version(view, 0) !== 1) return undefined;
      return { offset: 0, uuid: uuidOf(verity_sb.uuid(view, 0)), version: "1" };
    },
  },
  {
    kind: "DM_integrity",
    title: "dm-integrity volume",
    usage: "crypto",
    source: "Linux, drivers/md/dm-integrity.c",
    magics: [{ at: 0, is: "integrt\0" }],
    decode(window) {
      const version = window.view(8, 1)?.getUint8(0);
      return version === undefined || version < 1 || version > 5 ? undefined : { offset: 0, version: String(version) };
    },
  },
  {
    kind: "crypto_LUKS",
    title: "LUKS encrypted volume",
    usage: "crypto",
    source: "LUKS On-Disk Format Specification 1.2.3; LUKS2 On-Disk Format Specification 1.1.1",
    decode: decodeLuks,
  },
];

export const BITLOCKER_ROW: SignatureRow = {
  kind: "BitLocker",
  title: "BitLocker encrypted volume",
  usage: "crypto",
  source: "libbde, BitLocker Drive Encryption format",
  decode: decodeBitLocker,
  more: confirmBitLocker,
};
