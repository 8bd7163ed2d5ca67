import {
  ERROR_CODES,
  type Finding,
  finding,
  findingFromError,
  isImageError,
  type Report,
  readUpTo,
} from "@guestprobe/block";
import { LVM_ORPHAN, LVM_PV_DUPLICATE, LVM_VG_NAME } from "./lvm2/findings.js";
import { assembleGroup, describeGroup, type FoundGroup, groupPhysicalVolumes } from "./lvm2/group.js";
import { LABEL_BYTES } from "./lvm2/label.js";
import { type PhysicalVolumeFound, readPhysicalVolume, TextCache } from "./lvm2/physical.js";
import { type AssembledMd, assembleMd } from "./md/assemble.js";
import type { AssembledVolumes, AssembleOptions, MappedVolume, VolumeMember } from "./types.js";

/** Volumes on volumes on ...: each round looks into what the one before made. */
const MAX_ROUNDS = 8;
/** Members of one guest, partitions of volumes included. */
const MAX_MEMBERS = 4096;

/**
 * Finds the physical volumes of LVM and the arrays of md among a guest's disks and partitions, and assembles what lies on
 * them: also an array of logical volumes, a volume group on arrays. What is damaged or missing is reported, and hides
 * nothing that is sound.
 *
 * A member costs one read of its first 2 KiB, and of its last 128 KiB; what a volume needs beyond its group's text
 * is read when the volume is.
 *
 * @param members In GRUB's order: each disk, then its partitions as they are found.
 * @throws ImageError `aborted`, `io`, `limit`.
 */
export async function assembleVolumes(
  members: readonly VolumeMember[],
  options: AssembleOptions = {},
): Promise<AssembledVolumes> {
  const report: Report = options.report ?? (() => {});
  const { signal } = options;
  const texts = new TextCache();
  const pvs: PhysicalVolumeFound[] = [];
  const scanned: VolumeMember[] = [];
  let grouped = groupPhysicalVolumes([]);
  let md = NO_ARRAYS;
  let mdNotes: Finding[] = [];
  let fresh: readonly VolumeMember[] = members;
  const given = new Set(members.map(({ name }) => name));
  const isGiven = (device: string | undefined): boolean => device !== undefined && given.has(device);
  for (let round = 0; round < MAX_ROUNDS && fresh.length > 0; round += 1) {
    scanned.push(...fresh);
    // Arrays are put together anew, for a member may have come; what the last round says of them holds.
    const notes: Finding[] = [];
    md = await assembleMd(scanned, { ...options, report: (entry) => notes.push(entry) });
    // Where a volume lacks bytes was told when it was put together, and is told again by whoever needs them.
    mdNotes = notes.filter(({ code, device }) => isGiven(device) || !(ERROR_CODES as readonly string[]).includes(code));
    const inArrays = membersOfArrays(md);
    const told = round === 0 ? report : () => {};
    const starts = await Promise.all(fresh.map((member) => readStart(member, told, signal)));
    for (const [index, member] of fresh.entries()) {
      // A mirror's member begins as the mirror does: the physical volume is the mirror.
      if (inArrays.has(member.name)) continue;
      const pv = await readPhysicalVolume(member, starts[index]!, texts, report, signal);
      if (pv !== undefined) pvs.push(pv);
    }
    grouped = groupPhysicalVolumes(withoutDuplicates(pvs));
    // Quietly: what was made of a group is made again where a member joins it.
    const quiet = namer();
    const made = grouped.groups.flatMap((group) => assembleGroup(group, quiet, () => {}).volumes);
    const next = await candidates([...md.arrays, ...made], new Set(scanned.map(({ name }) => name)), options);
    fresh = next.slice(0, Math.max(0, MAX_MEMBERS - scanned.length));
  }
  for (const note of mdNotes) report(note);
  const { groups, orphans } = grouped;
  reportMembers(pvs, orphans, report);
  reportNames(groups, report);
  const name = namer();
  const arrays = md.arrays.map((array) => ({ ...array, name: name(array.name) }));
  const assembled = groups.map((group) => assembleGroup(group, name, report));
  const taken = new Map(md.taken);
  for (const { member } of pvs) taken.set(member.name, "LVM");
  for (const { vg, pvs: found } of groups) {
    for (const { member } of found) taken.set(member.name, `volume group ${vg.name}`);
  }
  return {
    volumes: [...arrays, ...assembled.flatMap(({ volumes }) => volumes)],
    groups: groups.map(describeGroup),
    unread: [...md.unread, ...assembled.flatMap(({ unread }) => unread)],
    taken,
    scanned: scanned.map(({ name: member }) => member),
  };
}

const NO_ARRAYS: AssembledMd = { arrays: [], taken: new Map(), unread: [] };

const membersOfArrays = ({ arrays, taken }: AssembledMd): ReadonlySet<string> =>
  new Set([...taken.keys(), ...arrays.flatMap(({ members }) => members)]);

/** What a round may look into: the volumes of the one before, and what the caller finds inside them. */
async function candidates(
  volumes: readonly MappedVolume[],
  seen: ReadonlySet<string>,
  { inside }: AssembleOptions,
): Promise<VolumeMember[]> {
  const found: VolumeMember[] = [];
  for (const volume of volumes) {
    if (seen.has(volume.name)) continue;
    found.push({ name: volume.name, device: volume.device }, ...((await inside?.(volume)) ?? []));
  }
  return found;
}

/** The start of a member; nothing where it cannot be read, which whoever opens it will tell. */
async function readStart({ device, name }: VolumeMember, report: Report, signal?: AbortSignal): Promise<Uint8Array> {
  try {
    return await readUpTo(device, 0, LABEL_BYTES, signal);
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted" || error.code === "limit") throw error;
    report(findingFromError(error, { device: name }));
    return new Uint8Array(0);
  }
}

/** The first of those that have the same UUID. */
function withoutDuplicates(pvs: readonly PhysicalVolumeFound[]): PhysicalVolumeFound[] {
  return pvs.filter((pv, index) => pvs.findIndex(({ label }) => label.uuid === pv.label.uuid) === index);
}

/** Names as GRUB gives them: where one is taken, "_1" is added, or one more than the last. disk/diskfilter.c. */
function namer(): (name: string) => string {
  const used = new Map<string, number>();
  return (name) => {
    const before = used.get(name);
    used.set(name, (before ?? -1) + 1);
    return before === undefined ? name : `${name}_${before + 1}`;
  };
}

function reportMembers(
  pvs: readonly PhysicalVolumeFound[],
  orphans: readonly PhysicalVolumeFound[],
  report: Report,
): void {
  for (const [index, { member, label }] of pvs.entries()) {
    const first = pvs.findIndex((other) => other.label.uuid === label.uuid);
    if (first === index) continue;
    const message = `the physical volume ${label.uuid} is also (${pvs[first]!.member.name}), which is read`;
    report(finding(LVM_PV_DUPLICATE, message, { format: "lvm2", device: member.name }));
  }
  for (const { member, label } of orphans) {
    report(
      finding(LVM_ORPHAN, `the physical volume ${label.uuid} is in no group`, { format: "lvm2", device: member.name }),
    );
  }
}

function reportNames(groups: readonly FoundGroup[], report: Report): void {
  for (const [index, { vg, pvs }] of groups.entries()) {
    const first = groups.findIndex((other) => other.vg.name === vg.name);
    if (first === index) continue;
    const message = `${vg.name} is the name of ${groups[first]!.vg.uuid} and of ${vg.uuid}`;
    report(finding(LVM_VG_NAME, message, { format: "lvm2", device: pvs[0]!.member.name }));
  }
}
