/** Containers of virtual disks: headers, tables, and the checksums of VHD and VHDX. */
import { crc32c } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import * as qcow2 from "../../../packages/image/src/qcow2/layout.js";
import * as vdi from "../../../packages/image/src/vdi/layout.js";
import * as vhd from "../../../packages/image/src/vhd/layout.js";
import * as vhdx from "../../../packages/image/src/vhdx/layout.js";
import * as vmdk from "../../../packages/image/src/vmdk/layout.js";
import { AnatomyBuilder, type Dissect, fieldBytes, renamed, wordSeal } from "../lib/spots.js";

export const dissectQcow2: Dissect = (image, most) => {
  const found = new AnatomyBuilder(image, "BE", most);
  const view = viewOf(image);
  const header = qcow2.QCowHeader;
  found.add(header, 0);
  if (header.version(view, 0) >= 3) {
    found.add(renamed(qcow2.QCowHeaderV3, "QCowHeaderV3"), 0).add(renamed(qcow2.QCowCompression, "QCowCompression"), 0);
    found.add(qcow2.QCowExtension, 104).add(qcow2.QCowExtension, 112).words("header extensions", 104, 64);
  }
  const l1 = header.l1_table_offset(view, 0);
  found.words("L1 table", l1, 32);
  const l2 = (view.getUint32(l1) & 0xff_ffff) * 2 ** 32 + (view.getUint32(l1 + 4) & ~0x1ff);
  if (l2 > 0) found.words("L2 table", l2, 64);
  found.words("refcount table", header.refcount_table_offset(view, 0), 16);
  const snapshots = header.snapshots_offset(view, 0);
  if (header.nb_snapshots(view, 0) > 0) {
    found.add(qcow2.QCowSnapshotHeader, snapshots).add(qcow2.QCowSnapshotExtraData, snapshots + 40);
  }
  return found;
};

function vhdSeal(found: AnatomyBuilder, at: number, length: number, field: number): void {
  found.seal(at, length, (data, write) => {
    let sum = 0;
    for (let n = 0; n < length; n += 1) sum += n >= field && n < field + 4 ? 0 : data[at + n]!;
    write(at + field, fieldBytes({ size: 4, big: true }, BigInt(~sum >>> 0)));
  });
}

export const dissectVhd: Dissect = (image, most) => {
  const found = new AnatomyBuilder(image, "BE", most);
  const view = viewOf(image);
  const last = image.length - vhd.SECTOR;
  const footers = [0, last].filter((at) => Buffer.from(image.subarray(at, at + 8)).toString() === "conectix");
  for (const at of footers) {
    found.add(vhd.vhd_footer, at);
    vhdSeal(found, at, vhd.SECTOR, vhd.vhd_footer.$fields.checksum.offset);
  }
  const header = vhd.vhd_footer.data_offset(view, last);
  if (header === undefined) return found;
  found.add(vhd.vhd_dynamic_header, header);
  for (let n = 0; n < vhd.PARENT_LOCATOR_COUNT; n += 1) {
    found.add(vhd.vhd_parent_locator, header + vhd.PARENT_LOCATORS + n * vhd.vhd_parent_locator.$size);
  }
  vhdSeal(found, header, 1024, vhd.vhd_dynamic_header.$fields.checksum.offset);
  found.words("BAT", vhd.vhd_dynamic_header.table_offset(view, header), 64);
  return found;
};

export const dissectVhdx: Dissect = (image, most) => {
  const found = new AnatomyBuilder(image, "LE", most);
  const view = viewOf(image);
  const crc = wordSeal(4, crc32c);
  for (const at of vhdx.HEADERS_AT) {
    found.add(vhdx.VHDX_HEADER, at);
    found.seals.push(crc(at, vhdx.PAGE));
  }
  for (const at of vhdx.REGION_TABLES_AT) {
    if (view.getUint32(at) === 0) continue;
    found.add(vhdx.VHDX_REGION_TABLE_HEADER, at);
    for (let n = 0; n < 2; n += 1) found.add(vhdx.VHDX_REGION_TABLE_ENTRY, at + 16 + n * 32);
    found.seals.push(crc(at, vhdx.TABLE_SIZE));
  }
  for (let at = vhdx.MIB; at + vhdx.PAGE <= image.length; at += vhdx.PAGE) {
    const magic = Buffer.from(image.subarray(at, at + 8)).toString("latin1");
    if (magic === "metadata") {
      found.add(vhdx.VHDX_METADATA_TABLE_HEADER, at);
      for (let n = 0; n < 6; n += 1) found.add(vhdx.VHDX_METADATA_TABLE_ENTRY, at + 32 + n * 32);
      found.words("metadata items", at + 65_536, 128);
    } else if (magic.startsWith("loge")) {
      found.add(vhdx.VHDX_LOG_ENTRY_HEADER, at).words("log descriptors", at + 64, 64);
      const length = Math.min(view.getUint32(at + 8, true), image.length - at);
      found.seals.push(crc(at, length));
    }
  }
  for (let n = 0; n < 2; n += 1) {
    const entry = vhdx.REGION_TABLES_AT[0]! + 16 + n * 32;
    const region = Number(view.getBigUint64(entry + 16, true));
    if (region > 0 && region + 64 < image.length) found.words(`region ${n}`, region, 64);
  }
  return found;
};

export const dissectVmdk: Dissect = (image, most) => {
  const found = new AnatomyBuilder(image, "LE", most);
  const view = viewOf(image);
  const magic = image.length < 512 ? 0 : view.getUint32(0, true);
  if (magic === vmdk.KDMV) {
    const header = vmdk.SparseExtentHeader;
    found.add(header, 0);
    const last = image.length - 1024;
    if (last > 0 && view.getUint32(last, true) === vmdk.KDMV) found.add(header, last);
    for (const at of [header.rgdOffset(view, 0), header.gdOffset(view, 0) ?? 0]) {
      if (at > 0 && at * vmdk.SECTOR < image.length) found.words("grain directory", at * vmdk.SECTOR, 32);
    }
    for (let at = vmdk.SECTOR; at + 12 < image.length && at < 65_536; at += vmdk.SECTOR) {
      if (view.getUint32(at, true) !== 0) found.add(vmdk.GrainMarker, at).words("tables", at, 32);
    }
  } else if (magic === vmdk.COWD) found.add(vmdk.COWDisk_Header, 0).words("grain directory", 2048, 32);
  else if (magic === vmdk.SESPARSE) {
    found.add(vmdk.SESparseConstHeader, 0).add(vmdk.SESparseVolatileHeader, 512).words("tables", 1024, 256);
  } else found.words("descriptor", 0, Math.min(image.length, 512), 1);
  return found;
};

export const dissectVdi: Dissect = (image, most) => {
  const found = new AnatomyBuilder(image, "LE", most);
  found.add(vdi.VDIHEADER1PLUS, 0);
  return found.words("block map", vdi.VDIHEADER1PLUS.offBlocks(viewOf(image), 0), 64);
};
