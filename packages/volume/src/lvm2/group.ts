import { finding, isImageError, type Report } from "@guestprobe/block";
import type { LvmGroup, LvmVolume, UnreadVolume } from "../types.js";
import { LVM_METADATA_OLD, LVM_OVERLAP, LVM_PV_MISSING, LVM_PV_SHORT, LVM_TYPE, LVM_VOLUME } from "./findings.js";
import { type BuiltVolume, LvmMapper, type PvDevice } from "./mapping.js";
import type { LogicalVolume, VolumeGroup } from "./metadata.js";
import { overlaps } from "./overlap.js";
import type { PhysicalVolumeFound } from "./physical.js";

/** A volume group: its newest text, and those of its physical volumes that were found, in the order given. */
export interface FoundGroup {
  readonly vg: VolumeGroup;
  readonly pvs: readonly PhysicalVolumeFound[];
}

/** GRUB's name of a volume, where another group may have the same. */
export type NameVolume = (name: string) => string;

/** GRUB's and device-mapper's way to join two names: a dash of either is doubled. */
function joinNames(vg: string, lv: string): string {
  return `${vg.replaceAll("-", "--")}-${lv.replaceAll("-", "--")}`;
}

const grubName = (vg: string, lv: string): string => `lvm/${joinNames(vg, lv)}`;

/** Sorts physical volumes into groups, in the order in which the first of each was met. Those of none are left over. */
export function groupPhysicalVolumes(found: readonly PhysicalVolumeFound[]): {
  readonly groups: readonly FoundGroup[];
  readonly orphans: readonly PhysicalVolumeFound[];
} {
  const newest = new Map<string, { vg: VolumeGroup; isSound: boolean }>();
  for (const { areas } of found) {
    for (const { vg, isSound } of areas) {
      if (vg === undefined) continue;
      const best = newest.get(vg.uuid);
      const isBetter = best === undefined || (isSound === best.isSound ? vg.seqno > best.vg.seqno : isSound);
      if (isBetter) newest.set(vg.uuid, { vg, isSound });
    }
  }
  const members = new Map<string, PhysicalVolumeFound[]>();
  const orphans: PhysicalVolumeFound[] = [];
  const ofPv = new Map<string, string>();
  for (const { vg } of newest.values()) {
    for (const { uuid } of vg.physicalVolumes.values()) if (!ofPv.has(uuid)) ofPv.set(uuid, vg.uuid);
  }
  for (const pv of found) {
    const group = ofPv.get(pv.label.uuid);
    if (group === undefined) orphans.push(pv);
    else members.set(group, [...(members.get(group) ?? []), pv]);
  }
  const groups = [...members].map(([uuid, pvs]) => ({ vg: newest.get(uuid)!.vg, pvs }));
  return { groups, orphans };
}

/** What GRUB would know of a group, and the order in which it meets its members. */
export function describeGroup({ vg, pvs }: FoundGroup): LvmGroup {
  return {
    vg,
    members: pvs.map(({ member, label, areas }) => ({
      name: member.name,
      uuid: label.uuid,
      dataAreas: label.dataAreas.length,
      firstArea: areas[0]?.vg,
    })),
  };
}

/**
 * The volumes of a group that are meant to be used, in the order of its text. What is wrong with one is reported, and hides
 * no other.
 */
export function assembleGroup(
  group: FoundGroup,
  name: NameVolume,
  report: Report,
): { readonly volumes: readonly LvmVolume[]; readonly unread: readonly UnreadVolume[] } {
  const { vg, pvs } = group;
  const devices = new Map<string, PvDevice>();
  for (const [key, { uuid }] of vg.physicalVolumes) {
    const found = pvs.find(({ label }) => label.uuid === uuid);
    if (found !== undefined) devices.set(key, { member: found.member.name, device: found.member.device });
  }
  reportAges(group, report);
  const about = (lv: string): Report => {
    const device = grubName(vg.name, lv);
    return (entry) => report({ ...entry, device: entry.device ?? device });
  };
  for (const { pv, a, b, extent } of overlaps(vg)) {
    about(a)(finding(LVM_OVERLAP, `extent ${extent} of ${pv} belongs to ${a} and to ${b}`, { format: "lvm2" }));
  }
  const mapper = new LvmMapper(vg, devices, about);
  const lost = new Map<string, string[]>();
  const volumes: LvmVolume[] = [];
  const unread: UnreadVolume[] = [];
  for (const lv of vg.logicalVolumes.values()) {
    const shown = shownAs(vg, lv);
    if (shown === undefined) continue;
    try {
      const built = shown.build(mapper);
      for (const pv of built.missing) lost.set(pv, [...(lost.get(pv) ?? []), shown.lv.name]);
      volumes.push(volumeOf(vg, shown, built, name, pvs));
    } catch (error) {
      if (!isImageError(error)) throw error;
      const { reason, format, structure, field } = error;
      const kind = error.code === "unsupported" ? LVM_TYPE : LVM_VOLUME;
      about(shown.lv.name)(finding(kind, reason, { format, structure, field }));
      unread.push({ devices: [name(grubName(vg.name, shown.lv.name))], error });
    }
  }
  reportMembers(group, devices, lost, report);
  return { volumes, unread };
}

interface Shown {
  readonly lv: LogicalVolume;
  readonly layout: string;
  build(mapper: LvmMapper): BuiltVolume;
}

/** What a logical volume of the text is shown as: pools and hidden parts as nothing, a snapshot under its store's name. */
function shownAs(vg: VolumeGroup, lv: LogicalVolume): Shown | undefined {
  if (!lv.isVisible) return undefined;
  const [segment] = lv.segments;
  if (segment?.kind === "thin-pool" || segment?.kind === "cache-pool") return undefined;
  if (segment?.kind === "snapshot") {
    const store = vg.logicalVolumes.get(segment.store);
    // One that is being merged is seen in its origin's place.
    if (store === undefined || segment.isMerging) return undefined;
    return { lv: store, layout: "snapshot", build: (mapper) => mapper.buildSnapshot(segment) };
  }
  return { lv, layout: layoutOf(lv), build: (mapper) => mapper.build(lv.name) };
}

function volumeOf(
  vg: VolumeGroup,
  { lv, layout }: Shown,
  built: BuiltVolume,
  name: NameVolume,
  pvs: readonly PhysicalVolumeFound[],
): LvmVolume {
  return {
    kind: "lvm2",
    name: name(grubName(vg.name, lv.name)),
    aliases: [`lvmid/${vg.uuid}/${lv.uuid}`],
    linuxNames: [`/dev/mapper/${joinNames(vg.name, lv.name)}`, `/dev/${vg.name}/${lv.name}`],
    device: built.device,
    members: pvs.map(({ member }) => member.name).filter((member) => built.members.has(member)),
    group: vg.uuid,
    lv,
    layout,
  };
}

function layoutOf({ segments }: LogicalVolume): string {
  const words = new Set(
    segments.map((segment) =>
      segment.kind === "striped" && segment.areas.length === 1 ? "linear" : segment.type.replace(/\+.*$/, ""),
    ),
  );
  return words.size === 1 ? [...words][0]! : "mixed";
}

function reportAges({ vg, pvs }: FoundGroup, report: Report): void {
  const old = pvs.flatMap(({ member, areas }) =>
    areas
      .filter((area) => area.vg !== undefined && area.isSound && area.vg.seqno !== vg.seqno)
      .map((area) => `number ${area.vg!.seqno} on (${member.name})`),
  );
  if (old.length === 0) return;
  const message = `the text of ${vg.name} has number ${vg.seqno}; ${[...new Set(old)].join(", ")}`;
  report(finding(LVM_METADATA_OLD, message, { format: "lvm2", device: pvs[0]!.member.name }));
}

function reportMembers(
  { vg, pvs }: FoundGroup,
  devices: ReadonlyMap<string, PvDevice>,
  lost: ReadonlyMap<string, readonly string[]>,
  report: Report,
): void {
  for (const [key, pv] of vg.physicalVolumes) {
    const found = devices.get(key);
    if (found === undefined) {
      const on = lost.get(key) ?? [];
      const what = on.length === 0 ? "nothing that is shown lies on it" : `on it lies part of ${on.join(", ")}`;
      const message = `${vg.name} lacks ${key}, ${pv.uuid} (${pv.device ?? "?"} when the text was written): ${what}`;
      report(finding(LVM_PV_MISSING, message, { format: "lvm2", device: pvs[0]!.member.name }));
      continue;
    }
    const end = (pv.peStart + pv.peCount * vg.extentSize) * 512;
    if (found.device.size < end) {
      const message = `${found.device.size} bytes, its last extent ends at ${end}`;
      report(finding(LVM_PV_SHORT, message, { format: "lvm2", device: found.member, offset: found.device.size }));
    }
  }
}
