import { finding, findingFromError, type Report } from "@guestprobe/block";
import { MD_BAD_CHECKSUM, MD_CONTRADICTION, MD_DUPLICATE, MD_MEMBER_STALE, MD_REBUILDING } from "./findings.js";
import { mdError } from "./place.js";
import { placeOf } from "./scan.js";
import type { MdMember, MdSuperblock } from "./types.js";

/** The members of one array by their place in it; undefined where there is none. */
type Slots = readonly (MdMember | undefined)[];

/** Which members to read an array from. */
export interface MdChoice {
  /** The superblock to believe. */
  readonly reference: MdSuperblock;
  /** Those that Linux would use. */
  readonly sound: Slots;
  /** Where there is none of these, those with a wrong checksum. */
  readonly doubtful: Slots;
  /** Where there is neither, those that missed changes. */
  readonly forced: Slots;
}

/** What never differs between the members of one array. */
const CONSTANT = ["version", "level", "layout", "chunk", "raidDisks", "size"] as const;

/** A member, and how far it is to be trusted. */
interface Candidate {
  readonly found: MdMember;
  readonly role: number;
  readonly trust: "sound" | "doubtful" | "stale";
}

/** Decides about superblocks of the same UUID, and reports those that are left out. At least one is given. */
export function chooseMembers(group: readonly MdMember[], report: Report | undefined): MdChoice {
  const { superblock: reference } = [...group].sort(byTrust)[0]!;
  const candidates: Candidate[] = [];
  for (const found of group) {
    const candidate = judge(found, reference, report);
    if (candidate !== undefined) candidates.push(candidate);
  }
  const fill = (base: Slots, trust: Candidate["trust"]): Slots => {
    const slots = [...base];
    for (const { found, role } of candidates.filter((candidate) => candidate.trust === trust).sort(byPreference)) {
      if (slots[role] === undefined) slots[role] = found;
      else reportDuplicate(found, slots[role], report);
    }
    return slots;
  };
  const sound = fill(new Array<undefined>(reference.raidDisks).fill(undefined), "sound");
  const doubtful = fill(sound, "doubtful");
  return { reference, sound, doubtful, forced: fill(doubtful, "stale") };
}

/** Superblocks with a right checksum in front, then those with more events. */
function byTrust({ superblock: a }: MdMember, { superblock: b }: MdMember): number {
  const doubt = ({ checksumProblem }: MdSuperblock): number => (checksumProblem === undefined ? 0 : 1);
  return doubt(a) - doubt(b) || compare(b.events, a.events);
}

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);

/** Of two for the same place: not one that is to replace the other, the newer, the smaller device. */
function byPreference({ found: a }: Candidate, { found: b }: Candidate): number {
  return (
    Number(a.superblock.isReplacement) - Number(b.superblock.isReplacement) ||
    compare(b.superblock.events, a.superblock.events) ||
    a.member.device.size - b.member.device.size
  );
}

/** A member's place in the array; undefined, and reported, when it is not to be used. */
function judge(found: MdMember, reference: MdSuperblock, report: Report | undefined): Candidate | undefined {
  const { superblock, member } = found;
  const where = { ...placeOf(superblock), device: member.name };
  if (superblock.checksumProblem !== undefined) report?.(finding(MD_BAD_CHECKSUM, superblock.checksumProblem, where));
  const differences = CONSTANT.filter((field) => superblock[field] !== reference[field]);
  if (differences.length > 0) {
    const shown = differences.map((field) => `${field} ${superblock[field]} instead of ${reference[field]}`).join(", ");
    report?.(finding(MD_CONTRADICTION, `the superblock says ${shown}`, where));
    return undefined;
  }
  const own = superblock.roles[superblock.deviceNumber];
  if (own?.kind !== "active") return undefined;
  if (own.index >= reference.raidDisks) {
    const reason = `the member is number ${own.index} of ${reference.raidDisks}`;
    const field = superblock.version === "0.90" ? "raid_disk" : "dev_roles";
    report?.(
      findingFromError(mdError("corrupt", reason, superblock.structure, field, superblock.offset), {
        device: member.name,
      }),
    );
    return undefined;
  }
  const role = own.index;
  if (superblock.isRebuilding) {
    report?.(finding(MD_REBUILDING, `member ${role} is not complete yet`, where));
    return undefined;
  }
  // The kernel forgives one event: a crash between the writes of two superblocks.
  const isBehind = superblock.events + 1n < reference.events;
  const now = reference.roles[superblock.deviceNumber];
  if (isBehind || now?.kind !== "active" || now.index !== role) {
    const message = isBehind
      ? `member ${role} is at event ${superblock.events}, the array at ${reference.events}`
      : `member ${role} counts itself in, the others do not`;
    report?.(finding(MD_MEMBER_STALE, message, where));
    return { found, role, trust: "stale" };
  }
  return { found, role, trust: superblock.checksumProblem === undefined ? "sound" : "doubtful" };
}

function reportDuplicate(found: MdMember, used: MdMember, report: Report | undefined): void {
  const { superblock, member } = found;
  // A replacement claims the place of another by design. The end of a disk is that of its last partition, too.
  if (superblock.isReplacement || used.member.name.startsWith(`${member.name},`)) return;
  const message = `${used.member.name} is the same member of the array`;
  report?.(finding(MD_DUPLICATE, message, { ...placeOf(superblock), device: member.name }));
}
