import { decodeText, finding, findingFromError, ImageError, isImageError } from "@guestprobe/block";
import { raidDevice } from "../raid/device.js";
import type { AssembleOptions, MdArray, UnreadVolume, VolumeMember } from "../types.js";
import { chooseMembers, type MdChoice } from "./choose.js";
import { MD_DEGRADED, MD_DIRTY_DEGRADED, MD_INCOMPLETE, MD_MEMBER_SHORT, MD_STALE_NEEDED } from "./findings.js";
import { describeShape, mdMap } from "./map.js";
import { containerError, findMdMembers, placeOf } from "./scan.js";
import type { MdMember, MdSuperblock } from "./types.js";

/** What was made of the members of md's arrays. */
export interface AssembledMd {
  /** In the order in which the first member of each was met. */
  readonly arrays: readonly MdArray[];
  /**
   * Members by name, and what of. Those of a mirror whose data begin with the first byte of the member (versions 0.90 and
   * 1.0) are not among them: every program that is not told better sees the file system on the member as well.
   */
  readonly taken: ReadonlyMap<string, string>;
  /** Arrays that are refused (journal, reshape, containers) or lack members; each was reported, too. */
  readonly unread: readonly UnreadVolume[];
}

/**
 * Finds the arrays of md among the members, and puts together those that can be. Damage is reported, and hides nothing
 * else. An array's own device may again be a member of something: a partition table, a physical volume, another array.
 */
export async function assembleMd(
  members: readonly VolumeMember[],
  options: AssembleOptions = {},
): Promise<AssembledMd> {
  const { report } = options;
  const scan = await findMdMembers(members, options);
  const arrays: MdArray[] = [];
  const taken = new Map<string, string>();
  const unread: UnreadVolume[] = [];
  const refuse = (names: readonly string[], error: ImageError): void => {
    unread.push({ devices: names, error });
    report?.(findingFromError(error, { device: names[0] }));
  };

  const groups = new Map<string, MdMember[]>();
  for (const found of scan.members) {
    const { uuid } = found.superblock;
    groups.set(uuid, [...(groups.get(uuid) ?? []), found]);
  }
  for (const group of groups.values()) {
    const choice = chooseMembers(group, report);
    const { reference } = choice;
    const names = members.map(({ name }) => name).filter((name) => group.some(({ member }) => member.name === name));
    for (const { member, superblock } of group) {
      const isPlain = reference.level === 1 && superblock.dataOffset === 0;
      if (!isPlain) taken.set(member.name, `array ${grubName(reference)}`);
    }
    try {
      const array = assemble(choice, names, options);
      if (array === undefined) unread.push({ devices: names, error: incompleteError(choice) });
      else arrays.push(array);
    } catch (error) {
      if (!isImageError(error)) throw error;
      const { structure, offset } = reference;
      refuse(names, new ImageError(error.code, error.reason, { format: "md", structure, offset }));
    }
  }
  for (const container of scan.containers) {
    const { name } = container.member;
    taken.set(name, `a container (${container.kind})`);
    refuse([name], containerError(container));
  }
  return { arrays, taken, unread };
}

/** The name that GRUB gives the array: the homehost in front of the first colon is left out. */
function grubName({ minor, setName }: MdSuperblock): string {
  if (minor !== undefined) return `md/md${minor}`;
  return `md/${withoutHost(setName)}`;
}

function withoutHost(setName: Uint8Array): string {
  const colon = setName.indexOf(0x3a);
  return decodeText(setName.subarray(colon + 1));
}

/** Names under which Linux has it for certain. Where mdadm.conf is silent, the number of others is made up. */
function linuxNames({ minor, setName }: MdSuperblock): string[] {
  if (minor !== undefined) return [`/dev/md${minor}`, `/dev/md/${minor}`];
  const name = withoutHost(setName);
  if (name === "") return [];
  return /^[0-9]{1,3}$/.test(name) ? [`/dev/md${name}`, `/dev/md/${name}`] : [`/dev/md/${name}`];
}

const describe = (reference: MdSuperblock): string => `${grubName(reference)} (${describeShape(reference)})`;

function missingRoles({ reference, sound }: MdChoice): string {
  const missing = Array.from({ length: reference.raidDisks }, (_, role) => role).filter((role) => !sound[role]);
  const shown = missing.slice(0, 8).join(", ");
  return missing.length > 8 ? `${shown} and ${missing.length - 8} more` : shown;
}

function incompleteError(choice: MdChoice): ImageError {
  const reason = `array ${describe(choice.reference)} lacks the members ${missingRoles(choice)}`;
  return new ImageError("unsupported", reason, placeOf(choice.reference));
}

/** Undefined, and reported, when members are missing without which it cannot be read. */
function assemble(choice: MdChoice, names: readonly string[], { report }: AssembleOptions): MdArray | undefined {
  const { reference } = choice;
  if (reference.refusal !== undefined) {
    throw new ImageError("unsupported", `array ${describe(reference)} ${reference.refusal}`);
  }
  const where = { ...placeOf(reference), device: names[0] };
  const tiers = [choice.sound, choice.doubtful, choice.forced];
  const sizesOf = (slots: MdChoice["sound"]) => slots.map((slot) => slot?.superblock.dataSize ?? 0);
  const isEnough = (slots: MdChoice["sound"]): boolean => {
    // Sizes of members that are missing are not known; these levels need every one of them anyway.
    if (reference.level <= 0 && slots.includes(undefined)) return false;
    const map = mdMap(reference, sizesOf(slots));
    return map.isReadable(slots.map((slot) => slot !== undefined));
  };
  const slots = tiers.find(isEnough);
  if (slots === undefined) {
    report?.(finding(MD_INCOMPLETE, incompleteError(choice).reason, where));
    return undefined;
  }
  if (slots === choice.forced) {
    report?.(finding(MD_STALE_NEEDED, `array ${describe(reference)} needs a member that fell behind`, where));
  }
  const map = mdMap(reference, sizesOf(slots));
  const missing = slots.filter((slot) => slot === undefined).length;
  if (missing > 0) {
    const message = `array ${describe(reference)} lacks ${missing} of ${slots.length} members: ${missingRoles(choice)}`;
    report?.(finding(MD_DEGRADED, message, where));
    if (reference.level >= 4 && reference.level <= 6 && !reference.isInSync) {
      report?.(
        finding(MD_DIRTY_DEGRADED, `array ${describe(reference)} was in use when it was last written to`, where),
      );
    }
  }
  for (const slot of slots) {
    if (slot === undefined || slot.data.size >= slot.superblock.dataSize) continue;
    const message = `${slot.data.size} bytes of data, the superblock says ${slot.superblock.dataSize}`;
    report?.(finding(MD_MEMBER_SHORT, message, { ...placeOf(slot.superblock), device: slot.member.name }));
  }
  return {
    kind: "md",
    name: grubName(reference),
    aliases: [`mduuid/${reference.uuid.replaceAll(":", "")}`],
    linuxNames: linuxNames(reference),
    device: raidDevice(
      map,
      slots.map((slot) => slot?.data),
    ),
    members: names.filter((name) => slots.some((slot) => slot?.member.name === name)),
    group: reference.uuid,
    metadata: reference.version,
    level: reference.level,
    layout: reference.layout,
    raidDisks: reference.raidDisks,
  };
}
