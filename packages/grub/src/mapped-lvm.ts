import type { LogicalVolume, LvmGroup, LvmMember, Segment, VolumeGroup } from "@guestprobe/volume";

/** A volume group as GRUB knows it. */
export interface GrubGroup {
  /** The member with which GRUB finds the group. */
  readonly first: string | undefined;
  /** Why GRUB has nothing of the group. */
  readonly obstacle: string | undefined;
  /** Its volumes by name: their place in GRUB's order, or why GRUB cannot read them. */
  readonly volumes: ReadonlyMap<string, number | string>;
}

/** Levels of LVM's RAID that GRUB knows, by exactly these names. */
const RAID_LEVELS: ReadonlySet<string> = new Set(["raid1", "raid4", "raid5", "raid6"]);

/** Volumes in volumes. GRUB has no bound; LVM makes four levels of those that GRUB reads. */
const MAX_DEPTH = 64;

/**
 * GRUB's module lvm. GRUB 2.06, disk/lvm.c, grub_lvm_detect: it reads the first metadata area of a physical volume without
 * looking at a checksum, builds the group from the first text that it meets, and never again; a physical volume with two
 * data areas, or without a text in its first metadata area, does not exist for it. One volume that refers to something
 * which it did not take loses the whole group.
 */
export function grubGroup(group: LvmGroup): GrubGroup {
  const usable = group.members.filter(isUsable);
  const [first] = usable;
  const text = first?.firstArea;
  const nothing = (obstacle: string): GrubGroup => ({ first: first?.name, obstacle, volumes: new Map() });
  if (text === undefined) {
    return nothing(
      "none of its physical volumes has what GRUB asks for: one data area, and a text in its first metadata area",
    );
  }
  const taken = [...text.logicalVolumes.values()].filter((lv) => lv.segments.every(isTaken) && lv.error === undefined);
  const plain = new Map(taken.filter((lv) => !isCached(lv)).map((lv) => [lv.name, lv]));
  for (const lv of plain.values()) {
    const unknown = lv.segments.flatMap(nodesOf).find((node) => !text.physicalVolumes.has(node) && !plain.has(node));
    if (unknown !== undefined)
      return nothing(`GRUB drops the group: ${lv.name} lies on ${unknown}, which it does not know`);
  }
  const present = new Set(
    [...text.physicalVolumes].filter(([, pv]) => usable.some(({ uuid }) => uuid === pv.uuid)).map(([key]) => key),
  );
  const readable = readableOf(text, plain, present);
  const order = grubOrder(taken, plain);
  const volumes = new Map<string, number | string>();
  for (const lv of group.vg.logicalVolumes.values()) {
    volumes.set(lv.name, judge(group.vg, text, lv, order, readable));
  }
  for (const { segments } of group.vg.logicalVolumes.values()) {
    if (segments[0]?.kind === "snapshot") volumes.set(segments[0].store, "GRUB reads no snapshots");
  }
  return { first: first!.name, obstacle: undefined, volumes };
}

const isUsable = ({ dataAreas, firstArea }: LvmMember): boolean => dataAreas <= 1 && firstArea !== undefined;

/** Whether GRUB knows the type of a segment. It compares the whole word, so that no flag may follow a cache's. */
function isTaken(segment: Segment): boolean {
  switch (segment.kind) {
    case "striped":
    case "mirror":
      return segment.type === segment.kind;
    case "cache":
      return segment.type === "cache";
    case "raid":
      return RAID_LEVELS.has(segment.type);
    default:
      return false;
  }
}

const isCached = (lv: LogicalVolume): boolean => lv.segments.some(({ kind }) => kind === "cache");

/** Names of what a segment lies on. */
function nodesOf(segment: Segment): readonly string[] {
  switch (segment.kind) {
    case "striped":
    case "mirror":
      return segment.areas.map(({ name }) => name);
    case "raid":
      return segment.images.map(({ data }) => data.name);
    case "cache":
      return [segment.origin];
    default:
      return [];
  }
}

/** Last read first; those with a cache are added at the end, and stand before all others in the order of the text. */
function grubOrder(
  taken: readonly LogicalVolume[],
  plain: ReadonlyMap<string, LogicalVolume>,
): ReadonlyMap<string, number> {
  const cached = taken.filter((lv) => isCached(lv) && lv.segments.flatMap(nodesOf).every((node) => plain.has(node)));
  const order = [...cached, ...[...plain.values()].reverse()];
  return new Map(order.map((lv, place) => [lv.name, place]));
}

/** Which volumes have enough of what they lie on. diskfilter.c, is_lv_readable. */
function readableOf(
  text: VolumeGroup,
  plain: ReadonlyMap<string, LogicalVolume>,
  present: ReadonlySet<string>,
): (name: string) => boolean {
  const known = new Map<string, boolean>();
  const isReadable = (name: string, depth: number): boolean => {
    const before = known.get(name);
    if (before !== undefined) return before;
    // A volume that is part of itself never becomes readable.
    known.set(name, false);
    const isThere = (node: string): boolean =>
      text.physicalVolumes.has(node) ? present.has(node) : depth < MAX_DEPTH && isReadable(node, depth + 1);
    const lv = plain.get(name);
    const answer = lv?.segments.every((segment) => hasEnough(segment, isThere)) ?? false;
    known.set(name, answer);
    return answer;
  };
  return (name) => isReadable(name, 0);
}

function hasEnough(segment: Segment, isThere: (name: string) => boolean): boolean {
  const nodes = nodesOf(segment);
  const have = nodes.filter(isThere).length;
  if (segment.kind === "mirror" || segment.type === "raid1") return have >= 1;
  const spare = segment.type === "raid6" ? 2 : segment.kind === "raid" ? 1 : 0;
  return have >= nodes.length - spare;
}

function judge(
  vg: VolumeGroup,
  text: VolumeGroup,
  lv: LogicalVolume,
  order: ReadonlyMap<string, number>,
  isReadable: (name: string) => boolean,
): number | string {
  const own = text.logicalVolumes.get(lv.name);
  if (text !== vg && !isSame(own, lv)) {
    return `GRUB takes the text of the first physical volume that it finds, number ${text.seqno}, and the newest is number ${vg.seqno}`;
  }
  const other = lv.segments.find((segment) => !isTaken(segment));
  if (other !== undefined) return `GRUB reads no volumes of type ${other.type}`;
  const place = order.get(lv.name);
  if (place === undefined) return `GRUB does not read what is behind the cache of ${lv.name}`;
  const below = isCached(lv) ? lv.segments.flatMap(nodesOf) : [lv.name];
  return below.every(isReadable) ? place : "GRUB does not find enough of its physical volumes";
}

const isSame = (a: LogicalVolume | undefined, b: LogicalVolume): boolean =>
  a !== undefined && a.uuid === b.uuid && JSON.stringify(a.segments) === JSON.stringify(b.segments);
