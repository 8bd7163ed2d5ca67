import { crc32, crc32c, decodeText, equalBytes, toHex, untilNul } from "@guestprobe/block";
import {
  adaptec_metadata,
  cache_sb,
  DDF_MAGIC,
  DDF_MAGIC_LE,
  DRBD_MAGICS,
  ddf_header,
  drbd_meta_data,
  lvm2_label,
  MD_SB_MAGIC,
  mdp_super_be,
  mdp_super_le,
  mdp_superblock_1,
  stratis_sb,
  ubi_ec_hdr,
  vdo_geometry,
  vmfs_volume_info,
} from "./layout/members.js";
import { bytesOf, checksumProblem, type Found, labelOf, type SignatureRow, uuidOf, uuidOfText } from "./row.js";
import type { Window } from "./window.js";
import { decodeZfs } from "./zfs.js";

const SECTOR = 512;
/** md 0.90 keeps this much at the end of a member. */
const MD_RESERVED = 0x1_0000;
const MD_1_PLACES: readonly { readonly version: string; readonly at: (size: number) => number }[] = [
  { version: "1.0", at: (size) => size - (size % 0x1000) - 0x2000 },
  { version: "1.1", at: () => 0 },
  { version: "1.2", at: () => 0x1000 },
];

function decodeMd(window: Window): Found | undefined {
  return decodeMd0(window) ?? decodeMd1(window);
}

function decodeMd0(window: Window): Found | undefined {
  const offset = window.size - (window.size % MD_RESERVED) - MD_RESERVED;
  const view = offset < 0 ? undefined : window.view(offset, mdp_super_le.$size);
  if (view === undefined) return undefined;
  const sb = [mdp_super_le, mdp_super_be].find((each) => each.md_magic(view, 0) === MD_SB_MAGIC);
  if (sb === undefined) return undefined;
  const size = sb.size(view, 0) * 1024;
  // The superblock lies behind the data: elsewhere it is a copy inside of something else.
  if (offset < size || window.size < size + MD_RESERVED) return undefined;
  const words =
    sb.minor_version(view, 0) >= 90
      ? [sb.set_uuid0(view, 0), sb.set_uuid1(view, 0), sb.set_uuid2(view, 0), sb.set_uuid3(view, 0)]
      : [sb.set_uuid0(view, 0), 0, 0, 0];
  const uuid = new DataView(new ArrayBuffer(16));
  for (const [index, word] of words.entries()) uuid.setUint32(index * 4, word);
  return {
    offset,
    uuid: uuidOf(new Uint8Array(uuid.buffer)),
    version: `${sb.major_version(view, 0)}.${sb.minor_version(view, 0)}.${sb.patch_version(view, 0)}`,
  };
}

function decodeMd1(window: Window): Found | undefined {
  for (const { version, at } of MD_1_PLACES) {
    const offset = at(window.size);
    const view = offset < 0 ? undefined : window.view(offset, mdp_superblock_1.$size);
    if (view === undefined || mdp_superblock_1.magic(view, 0) !== MD_SB_MAGIC) continue;
    if (mdp_superblock_1.major_version(view, 0) !== 1) continue;
    if (view.getBigUint64(mdp_superblock_1.$fields.super_offset.offset, true) !== BigInt(offset / SECTOR)) continue;
    return {
      offset,
      version,
      uuid: uuidOf(mdp_superblock_1.set_uuid(view, 0)),
      label: labelOf(mdp_superblock_1.set_name(view, 0)),
    };
  }
  return undefined;
}

/** Where the header of a DDF disk lies: sectors from the end. */
const DDF_PLACES = [1, 257];

function decodeDdf(window: Window): Found | undefined {
  for (const sectors of DDF_PLACES) {
    const offset = (Math.floor(window.size / SECTOR) - sectors) * SECTOR;
    const view = offset < 0 ? undefined : window.view(offset, ddf_header.$size);
    if (view === undefined) continue;
    const magic = window.bytes(offset, 4)!;
    if (!equalBytes(magic, DDF_MAGIC) && !equalBytes(magic, DDF_MAGIC_LE)) continue;
    return {
      offset,
      uuid: ddfGuid(ddf_header.guid(view, 0)),
      version: decodeText(labelOf(ddf_header.ddf_rev(view, 0))),
    };
  }
  return undefined;
}

/** Text of the maker, then whatever he likes. */
function ddfGuid(guid: Uint8Array): string {
  const text = decodeText(untilNul(guid));
  return /^[\x20-\x7e]+$/.test(text) ? text : toHex(guid);
}

const ISW_SIGNATURE = "Intel Raid ISM Cfg Sig. ";

/** A superblock of a firmware RAID: a fixed text so many sectors before the end of the disk. */
function atEnd(
  sectors: number,
  at: number,
  text: string | Uint8Array,
  versionOf: (view: DataView) => string,
): SignatureRow["decode"] {
  const magic = bytesOf(text);
  return (window) => {
    const offset = (Math.floor(window.size / SECTOR) - sectors) * SECTOR;
    const view = offset < 0 ? undefined : window.view(offset, SECTOR);
    if (view === undefined || !equalBytes(window.bytes(offset + at, magic.length)!, magic)) return undefined;
    return { offset, version: versionOf(view) };
  };
}

function decodeAdaptec(window: Window): Found | undefined {
  const offset = (Math.floor(window.size / SECTOR) - 1) * SECTOR;
  const view = window.view(offset, adaptec_metadata.$size);
  if (view === undefined || adaptec_metadata.b0idcode(view, 0) !== ADAPTEC_CODE) return undefined;
  if (adaptec_metadata.smagic(view, 0) !== ADAPTEC_MAGIC) return undefined;
  return { offset, version: String(adaptec_metadata.resver(view, 0)) };
}
const ADAPTEC_CODE = 0x37fc4d1e;
const ADAPTEC_MAGIC = 0x4450544d;

const LVM2_LABEL_SECTORS = 4;

function decodeLvm2(window: Window): Found | undefined {
  for (let sector = 0; sector < LVM2_LABEL_SECTORS; sector += 1) {
    const offset = sector * SECTOR;
    const view = window.view(offset, SECTOR);
    if (view === undefined) break;
    if (decodeText(lvm2_label.id(view, 0)) !== "LABELONE" || decodeText(lvm2_label.type(view, 0)) !== "LVM2 001") {
      continue;
    }
    if (lvm2_label.sector_xl(view, 0) !== BigInt(sector)) continue;
    const { offset: start } = lvm2_label.$fields.crc_xl;
    // LVM's checksum is the bare register, from a start value of its own.
    const checksum = ~crc32(window.bytes(offset + start + 4, SECTOR - start - 4)!, ~LVM2_CRC_START) >>> 0;
    return {
      offset,
      version: "LVM2 001",
      uuid: formatLvmUuid(decodeText(lvm2_label.pv_uuid(view, 0))),
      ...checksumProblem(checksum === lvm2_label.crc_xl(view, 0)),
    };
  }
  return undefined;
}
const LVM2_CRC_START = 0xf597a6cf;

/** "abcdef-0123-4567-89ab-cdef-0123-456789": LVM's own grouping. */
function formatLvmUuid(id: string): string | undefined {
  return /^[0-9A-Za-z]{32}$/.test(id)
    ? id.replace(/^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})(.{6})$/, "$1-$2-$3-$4-$5-$6-$7")
    : undefined;
}

function decodeDrbd(window: Window): Found | undefined {
  const offset = window.size - 0x1000;
  const view = offset < 0 || window.size < 0x1_0000 ? undefined : window.view(offset, drbd_meta_data.$size);
  const version = view && DRBD_MAGICS.get(drbd_meta_data.magic(view, 0));
  if (view === undefined || version === undefined) return undefined;
  const id = version === "v08" ? drbd_meta_data.device_uuid_08(view, 0) : drbd_meta_data.device_uuid_09(view, 0);
  return { offset, version, uuid: id === 0n ? undefined : id.toString(16) };
}

const STRATIS_PLACES = [SECTOR, 9 * SECTOR];
const STRATIS_MAGIC = "!Stra0tis\x86\xff\x02^\x41rh";

function decodeStratis(window: Window): Found | undefined {
  const copies = STRATIS_PLACES.flatMap((offset): Found[] => {
    const view = window.view(offset, SECTOR);
    if (view === undefined || !equalBytes(stratis_sb.magic(view, 0), bytesOf(STRATIS_MAGIC))) return [];
    const digits = decodeText(stratis_sb.dev_uuid(view, 0));
    const uuid = /^[0-9a-f]{32}$/.test(digits)
      ? digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")
      : undefined;
    const matches = crc32c(window.bytes(offset + 4, SECTOR - 4)!) === stratis_sb.crc32(view, 0);
    return [{ offset, uuid, ...checksumProblem(matches) }];
  });
  return copies.find(({ problem }) => problem === undefined) ?? copies[0];
}

/** Members of arrays, volume groups and pools. */
export const RAID_ROWS: readonly SignatureRow[] = [
  {
    kind: "linux_raid_member",
    title: "member of a Linux md array",
    usage: "raid",
    source: "Linux, include/uapi/linux/raid/md_p.h",
    decode: decodeMd,
  },
  {
    kind: "ddf_raid_member",
    title: "member of a DDF array",
    usage: "raid",
    source: "SNIA, Common RAID Disk Data Format 2.0",
    minSize: 0x3_0000,
    decode: decodeDdf,
  },
  {
    kind: "isw_raid_member",
    title: "member of an Intel Matrix array",
    usage: "raid",
    source: "mdadm, super-intel.c",
    minSize: 0x1_0000,
    decode: atEnd(2, 0, ISW_SIGNATURE, (view) => decodeText(new Uint8Array(view.buffer, view.byteOffset + 24, 6))),
  },
  {
    kind: "nvidia_raid_member",
    title: "member of an NVIDIA array",
    usage: "raid",
    source: "dmraid, nv.h",
    minSize: 0x1_0000,
    decode: atEnd(2, 0, "NVIDIA", (view) => String(view.getUint16(16, true))),
  },
  {
    kind: "adaptec_raid_member",
    title: "member of an Adaptec array",
    usage: "raid",
    source: "dmraid, asr.h",
    minSize: 0x1_0000,
    decode: decodeAdaptec,
  },
  {
    kind: "jmicron_raid_member",
    title: "member of a JMicron array",
    usage: "raid",
    source: "dmraid, jm.h",
    minSize: 0x1_0000,
    decode: atEnd(1, 0, "JM", (view) => `${view.getUint8(3)}.${view.getUint8(2)}`),
  },
];

/** Caches, replicas and physical volumes. */
export const VOLUME_ROWS: readonly SignatureRow[] = [
  {
    kind: "bcache",
    title: "bcache device",
    usage: "other",
    source: "Linux, drivers/md/bcache/bcache_ondisk.h",
    minSize: 0x2000,
    magics: [{ at: 0x1018, is: "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81" }],
    decode(window, at) {
      const view = window.view(at - 0x18, cache_sb.$size);
      if (view === undefined || cache_sb.offset(view, 0) !== 8n) return undefined;
      return { offset: at - 0x18, uuid: uuidOf(cache_sb.uuid(view, 0)) };
    },
  },
  {
    kind: "drbd",
    title: "DRBD replica",
    usage: "raid",
    source: "drbd-utils, user/shared/drbd_meta_data.h",
    decode: decodeDrbd,
  },
  {
    kind: "LVM2_member",
    title: "LVM2 physical volume",
    usage: "raid",
    source: "LVM2, lib/label/label.h",
    decode: decodeLvm2,
  },
  {
    kind: "LVM1_member",
    title: "LVM1 physical volume",
    usage: "raid",
    source: "Linux 2.4, include/linux/lvm.h",
    magics: [{ at: 0, is: "HM" }],
    decode(window) {
      const version = window.view(2, 2)?.getUint16(0, true);
      if (version !== 1 && version !== 2) return undefined;
      const id = window.bytes(0x2c, 32);
      return { offset: 0, uuid: id && formatLvmUuid(decodeText(id)) };
    },
  },
  {
    kind: "DM_snapshot_cow",
    title: "exception store of a snapshot",
    usage: "other",
    source: "Linux, drivers/md/dm-snap-persistent.c",
    magics: [{ at: 0, is: "SnAp" }],
  },
];

/** Members that come after the encrypted ones in blkid's order. */
export const POOL_ROWS: readonly SignatureRow[] = [
  {
    kind: "VMFS_volume_member",
    title: "member of a VMFS volume",
    usage: "raid",
    source: "vmfs-tools, vmfs_lvm.h",
    magics: [{ at: 0x10_0000, is: "\x0d\xd0\x01\xc0" }],
    decode(window, at) {
      const view = window.view(at, vmfs_volume_info.$size);
      if (view === undefined) return undefined;
      const id = uuidOfText(vmfs_volume_info.lvm_uuid(view, 0));
      return { offset: at, uuid: id, version: String(vmfs_volume_info.ver(view, 0)) };
    },
  },
  {
    kind: "ubi",
    title: "UBI flash volume",
    usage: "raid",
    source: "Linux, drivers/mtd/ubi/ubi-media.h",
    magics: [{ at: 0, is: "UBI#" }],
    decode(window) {
      const view = window.view(0, ubi_ec_hdr.$size);
      if (view === undefined) return undefined;
      const sequence = ubi_ec_hdr.image_seq(view, 0);
      const uuid = sequence === 0 ? undefined : String(sequence);
      return { offset: 0, uuid, version: String(ubi_ec_hdr.version(view, 0)) };
    },
  },
  {
    kind: "vdo",
    title: "VDO volume",
    usage: "other",
    source: "Linux, drivers/md/dm-vdo/encodings.h",
    magics: [{ at: 0, is: "dmvdo001" }],
    decode(window) {
      const view = window.view(0, vdo_geometry.$size);
      return view && { offset: 0, uuid: uuidOf(vdo_geometry.uuid(view, 0)) };
    },
  },
  {
    kind: "stratis",
    title: "Stratis block device",
    usage: "raid",
    source: "Stratis Software Design, static header",
    minSize: 0x2000,
    decode: decodeStratis,
  },
];

/** In blkid's order, after the file systems of Linux, and with its word for the usage: the pool is what is mounted. */
export const ZFS_ROW: SignatureRow = {
  kind: "zfs_member",
  title: "member of a ZFS pool",
  usage: "filesystem",
  source: "ZFS On-Disk Specification, chapter 1",
  minSize: 0x400_0000,
  decode: decodeZfs,
};
