import { encodeText, type FindingKind, finding, findingFromError, type Report } from "@guestprobe/block";
import { bootVerdict, PROFILES, type Verdict } from "@guestprobe/boot";
import { type BtrfsFileSystem, isBtrfs, type Subvolume } from "@guestprobe/btrfs";
import { BOOT_PROBE_PATHS, DEFAULT_GRUB_VERSION, escapeDiskName } from "@guestprobe/grub";
import type { Partition, Partitions } from "@guestprobe/partition";
import type { BootCode, Signature } from "@guestprobe/signature";
import { type FileSystem, GRUB_WALK, resolve, textPair } from "@guestprobe/vfs";
import { bootView } from "../boot-view.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit.js";
import type { Guest, Volume } from "../guest.js";
import { deviceText, escapeGuestText } from "../output/escape.js";
import { findingJson, imageErrorOnly, type Output } from "../output/output.js";
import { type Column, formatBytes, table } from "../output/table.js";
import { partitionDevice } from "../partition-name.js";
import { bootCodeJson, bootCodeOf, bootCodeText, signatureOf } from "../signature.js";
import type { Options, Run } from "../verbs.js";
import { diskJson, fsJson, levelName, mappedJson } from "./disk-json.js";
import { type Firmware, firmwareBoot, firmwareJson, firmwareLines, NO_FIRMWARE } from "./firmware.js";

const COLUMNS: readonly Column[] = [
  { title: "device" },
  { title: "size", align: "right" },
  { title: "type", flexible: true },
  { title: "fs" },
  { title: "label", flexible: true },
  { title: "uuid" },
];

export const NOTHING_RECOGNISED: FindingKind = {
  code: "disk-not-recognised",
  severity: "warning",
  title: "Neither partitions nor a file system were recognised on a disk",
  explanation:
    "The image holds no partitions and no file system that this tool reads. It may be blank, encrypted as a whole, a " +
    "member of a larger volume, in a container format that this version does not open, or damaged at its start.",
  next: [
    "compare with `file -s IMAGE` and `blkid -p IMAGE`",
    "convert a container first: `qemu-img convert -O raw IMAGE disk.img`",
  ],
};

export const NOT_READ: FindingKind = {
  code: "disk-not-read",
  severity: "warning",
  title: "A disk holds something that this tool names and does not read",
  explanation:
    "There are neither partitions nor a file system that is read on the disk, and a superblock tells what it is: an " +
    "encrypted volume, a member of an array or of a volume group, or a file system of another kind. Nothing can be said " +
    "about the files on it.",
  next: [
    "give the other members of the volume or array on the same command line",
    "`guestprobe inspect --json` has its UUID",
  ],
};

interface Inspected {
  readonly fs: FileSystem | undefined;
  /** Of a volume that no reader opens. */
  readonly signature: Signature | undefined;
  /** Of a file system that is listed under another volume, which is its first. */
  readonly isFurtherMember: boolean;
  readonly bootFiles: readonly string[];
  readonly firmware: Firmware;
  /** btrfs only. */
  readonly subvolumes: readonly Subvolume[];
}

export const inspect: Run = async (context, words, options) => {
  const guest = await context.open(words, options);
  const { out } = context;
  const found = new Map<string, Inspected>();
  for (const volume of guest.volumes) found.set(volume.device, await inspectVolume(context, guest, volume));
  let recognised = false;
  for (const disk of guest.disks) {
    const volumes = guest.volumes.filter((volume) => volume.disk === disk);
    const known =
      disk.partitions.partitions.length > 0 ||
      volumes.some(({ device }) => isRecognised(found.get(device)) || guest.assembled.taken.has(device));
    recognised ||= known;
    if (known || disk.container === undefined || volumes.some((volume) => guest.failure(volume))) continue;
    const named = found.get(disk.name)?.signature;
    if (named !== undefined) {
      const what = `${named.title} (${named.kind}), which is named and not read`;
      out.log.report(finding(NOT_READ, what, { device: disk.name, offset: named.offset }));
      continue;
    }
    const table = disk.partitions.tables.length > 0 ? "an empty partition table" : "no partition table";
    const why = disk.device.size === 0 ? "the image is empty" : `${table} and no file system that is known`;
    out.log.report(finding(NOTHING_RECOGNISED, why, { device: disk.name, offset: 0 }));
  }
  const codes = await bootCodeOf(context, guest);
  const boot = await bootLine(guest, found, options, out);
  if (out.options.json) {
    const extra = (device: string): Record<string, unknown> => {
      const inspected = found.get(device);
      return {
        fs: fsJson(inspected?.fs, inspected?.signature),
        bootCode: bootCodeJson(codes.get(device)),
        bootFiles: inspected?.bootFiles ?? [],
        ...firmwareJson(inspected?.firmware ?? NO_FIRMWARE),
        ...(inspected?.fs && isBtrfs(inspected.fs) ? { subvolumes: inspected.subvolumes.map(subvolumeJson) } : {}),
      };
    };
    out.json({
      schema: "guestprobe/inspect/1",
      disks: guest.disks.map((disk) => diskJson(disk, extra)),
      mapped: guest.mapped.map((disk) => mappedJson(disk, extra)),
      boot:
        boot === undefined
          ? null
          : { profile: boot.profile, answer: boot.answer, ...textPair("summary", encodeText(boot.summary)) },
      findings: out.log.findings.map(findingJson),
    });
  } else {
    showGuest(context, guest, found, codes);
    if (boot !== undefined) {
      out.lines(["", `Boot under ${boot.profile}: ${boot.answer}, ${escapeGuestText(boot.summary)}`]);
    }
  }
  return recognised ? EXIT.yes : EXIT.cannotTell;
};

/** The verdict for Debian's PV host, in short; none for a guest without file systems. */
async function bootLine(
  guest: Guest,
  found: ReadonlyMap<string, Inspected>,
  options: Options,
  out: Output,
): Promise<Verdict | undefined> {
  if (![...found.values()].some(({ fs }) => fs !== undefined)) return undefined;
  const grub = DEFAULT_GRUB_VERSION.id;
  const view = bootView(guest, { ...options, grub }, out);
  return bootVerdict(view, { profile: PROFILES[0]!, dialect: grub });
}

async function inspectVolume({ out, watch }: Context, guest: Guest, volume: Volume): Promise<Inspected> {
  const { report } = out.log;
  const isFurtherMember = await guest.isFurtherMember(volume);
  const fs = isFurtherMember ? undefined : await guest.fileSystem(volume);
  const signature = fs === undefined && !isFurtherMember ? await signatureOf(volume, report, watch) : undefined;
  const bootFiles: string[] = [];
  for (const path of fs === undefined ? [] : BOOT_PROBE_PATHS) {
    try {
      const hit = await resolve(fs as FileSystem, path, { policy: GRUB_WALK });
      if (hit?.inode.stat.type === "file") bootFiles.push(path);
    } catch (cause) {
      const error = imageErrorOnly(cause);
      if (watch.ended(error)) throw error;
      // A path through a file or a loop of links is no boot file, and no damage.
      if (error.code === "not-a-directory" || error.code === "symlink-loop") continue;
      report(findingFromError(error, { device: volume.device, path: encodeText(path) }));
    }
  }
  const subvolumes = fs && isBtrfs(fs) ? await listSubvolumes(fs, volume, report) : [];
  const firmware = fs === undefined ? NO_FIRMWARE : await firmwareBoot(fs, volume.device, report);
  return { fs, signature, isFurtherMember, bootFiles, firmware, subvolumes };
}

const isRecognised = (inspected: Inspected | undefined): boolean =>
  inspected !== undefined && (inspected.fs !== undefined || inspected.isFurtherMember);

async function listSubvolumes(fs: BtrfsFileSystem, volume: Volume, report: Report): Promise<readonly Subvolume[]> {
  try {
    return await fs.subvolumes();
  } catch (cause) {
    report(findingFromError(imageErrorOnly(cause), { device: volume.device }));
    return [];
  }
}

function subvolumeJson({
  id,
  parent,
  path,
  readOnly,
  isDefault,
  uuid,
  parentUuid,
}: Subvolume): Record<string, unknown> {
  return {
    id,
    parent: parent ?? null,
    ...(path === undefined ? { path: null } : textPair("path", path)),
    readOnly,
    default: isDefault,
    uuid: uuid ?? null,
    parentUuid: parentUuid ?? null,
  };
}

/** "256 /@ (default)": the id, where it hangs, and what Linux would mount. */
function subvolumeLine({ id, path, readOnly, isDefault }: Subvolume): string {
  const remarks = [...(isDefault ? ["default"] : []), ...(readOnly ? ["read-only"] : [])].join(", ");
  const place = path === undefined ? "(no path leads to it)" : escapeGuestText(path);
  return `  ${id} ${place}${remarks === "" ? "" : ` (${remarks})`}`;
}

function showGuest(
  { out }: Context,
  guest: Guest,
  found: ReadonlyMap<string, Inspected>,
  codes: ReadonlyMap<string, BootCode>,
): void {
  const rows: string[][] = [];
  const row = (name: string, bytes: number, type: string, device: string): void => {
    const { fs, signature } = found.get(device) ?? {};
    const what = fs ?? signature;
    const taken = guest.assembled.taken.get(device);
    const kind = what?.kind ?? (taken === undefined ? "" : escapeGuestText(`(${taken})`));
    const label = what === undefined ? "" : escapeGuestText(what.label);
    rows.push([name, formatBytes(bytes), type, kind, label, escapeGuestText(what?.uuid ?? "")]);
  };
  const partitionRows = (disk: string, { partitions }: Partitions, parent?: Partition, indent = ""): void => {
    const parts = partitions.filter((partition) => partition.parent === parent);
    for (const [index, partition] of parts.entries()) {
      const isLast = index === parts.length - 1;
      const device = partitionDevice(disk, partition);
      const type = `${escapeGuestText(partition.type.name ?? partition.type.id)}${partition.active ? " *" : ""}`;
      row(`${indent}${isLast ? "└─" : "├─"}${deviceText(device)}`, partition.length, type, device);
      partitionRows(disk, { partitions, tables: [], gaps: [] }, partition, `${indent}${isLast ? "  " : "│ "}`);
    }
  };
  const kinds = ({ tables }: Partitions): string[] =>
    tables
      .filter(({ parent }) => parent === undefined)
      .map((each) => (each.role === "main" ? each.kind : `${each.role} ${each.kind}`));
  for (const disk of guest.disks) {
    const type = [disk.container?.format ?? "unreadable", ...kinds(disk.partitions)].join(", ");
    row(deviceText(disk.name), disk.device.size, type, disk.name);
    partitionRows(disk.name, disk.partitions);
  }
  for (const { volume, device, partitions } of guest.mapped) {
    const what = volume.kind === "lvm2" ? `LVM ${volume.layout}` : `md ${levelName(volume)}`;
    const on = volume.members.map((member) => `(${member})`).join(" ");
    const type = [escapeGuestText(`${what} on ${on}`), ...kinds(partitions)].join(", ");
    row(deviceText(volume.name), device.size, type, escapeDiskName(volume.name));
    partitionRows(volume.name, partitions);
  }
  out.lines(table(COLUMNS, rows, out.width));
  for (const [device, { subvolumes }] of found) {
    // The top level alone is what every volume has.
    if (subvolumes.length < 2) continue;
    out.line();
    out.line(`Subvolumes of ${deviceText(device)}, 5 being the top level, where GRUB begins:`);
    out.lines(subvolumes.map(subvolumeLine));
  }
  for (const { name, container } of guest.disks) {
    const snapshots = container?.info.snapshots ?? [];
    if (snapshots.length === 0) continue;
    out.line();
    out.line(`Snapshots of ${deviceText(name)}, which --snapshot chooses:`);
    out.lines(
      snapshots.map((each) => `  ${escapeGuestText(encodeText(each.id))} ${escapeGuestText(encodeText(each.name))}`),
    );
  }
  // A sector that says that it starts nothing is no news.
  const loaders = [...codes].filter(([, { kind }]) => kind !== "none" && kind !== "not-bootable");
  if (loaders.length > 0) {
    out.lines(["", "Boot code:", ...loaders.map(([device, code]) => `  ${deviceText(device)} ${bootCodeText(code)}`)]);
  }
  const files = [...found].flatMap(([device, { bootFiles }]) =>
    bootFiles.map((path) => `  ${deviceText(device)}${path}`),
  );
  out.line();
  out.line(files.length === 0 ? "No boot files." : "Boot files:");
  out.lines(files);
  const firmware = [...found].flatMap(([device, inspected]) => firmwareLines(device, inspected.firmware));
  if (firmware.length > 0) out.lines(["", "For firmware, not for GRUB under Xen:", ...firmware]);
}
