import { decodeText, encodeText, type Finding, type FindingKind, finding } from "@guestprobe/block";
import type { Course } from "./courses.js";
import * as kinds from "./findings.js";
import type { GuestView, GuestVolume } from "./guest.js";
import type { HostProfile } from "./profiles.js";
import type { VerdictParts } from "./verdict.js";
import type { Attempt, Reference } from "./verdict-types.js";

type Where = Parameters<typeof finding>[2];

const PVBOOT = /\/xen\/pvboot-(i386|x86_64)\.elf$/;
const INITRD_COMMANDS = /^(initrd|initrd16|module|legacy_initrd)( |$)/;

/** What the loader itself ran into, step by step. */
export function loaderFindings(profile: HostProfile, parts: VerdictParts): Finding[] {
  const { course } = parts;
  const found: Finding[] = [];
  const add = (kind: FindingKind, message: string, where: Where = {}): void =>
    void found.push(finding(kind, message, where));
  for (const attempt of course.attempts) {
    // A ramdisk without a kernel is refused for the kernel's sake.
    if (attempt.kind !== "load" || attempt.ok || attempt.device === undefined) continue;
    const made = refusal(attempt, course);
    // What a fallback makes good is no error of the whole.
    const softer = course.stop === undefined && made.severity === "error" && !INITRD_COMMANDS.test(attempt.rule);
    found.push(softer ? { ...made, severity: "warning" } : made);
  }
  // A menu that waits because its kernels were refused is told by the refusals.
  if (course.stop !== undefined && !found.some(({ severity }) => severity === "error")) {
    add(course.stop.kind, course.stop.message);
  }
  if (course.locked) add(kinds.PASSWORD, `the entry "${course.entry?.title ?? ""}" is locked`);
  for (const [name, { at }] of course.grub?.commands ?? []) {
    if (profile.lacks.value.includes(name))
      add(kinds.COMMAND_MISSING, `${name} is no command of this loader`, { line: at.line });
  }
  for (const { device, path, initrd } of parts.initrds) {
    if (initrd?.strangeAt === 0) {
      add(kinds.INITRD_STRANGE, "neither a cpio archive nor compressed by anything known", {
        device,
        path: encodeText(path),
      });
    }
  }
  for (const [file, { unknown }] of course.answers) {
    if (unknown !== undefined) add(kinds.NOT_KNOWN, `${file}: ${unknown.message}`);
  }
  for (const { what, at } of course.grub?.doubts ?? []) {
    if (/^refused by GRUB's parser/.test(what)) add(kinds.CONFIG_PROBLEM, what, { line: at?.line });
  }
  return found;
}

function refusal(attempt: Attempt, course: Course): Finding {
  const { device, path, reason = "", line, rule } = attempt;
  const where: Where = { device, path: encodeText(path), line };
  if (reason === "not found") {
    const kind = INITRD_COMMANDS.test(rule) ? kinds.INITRD_MISSING : kinds.KERNEL_MISSING;
    return finding(kind, `${path} is not there`, where);
  }
  const answer = course.answers.get(`(${device ?? ""})${path}`);
  if (PVBOOT.test(path)) {
    const kind = answer?.empty === true ? kinds.PVBOOT_EMPTY : kinds.PVBOOT_BROKEN;
    return finding(kind, `the host's loader refuses it: ${reason}`, where);
  }
  const detail = answer?.detail === undefined ? "" : ` (${answer.detail})`;
  return finding(answer?.kind ?? kinds.KERNEL_REFUSED, `the loader refuses it: ${reason}${detail}`, where);
}

const PROBED = [
  "/boot/xen/pvboot-x86_64.elf",
  "/xen/pvboot-x86_64.elf",
  "/boot/grub/grub.cfg",
  "/grub/grub.cfg",
  "/boot/grub/menu.lst",
  "/grub/menu.lst",
] as const;
const GRUB2_CONFIGS = ["/boot/grub2/grub.cfg", "/grub2/grub.cfg"] as const;
const SUBVOLUME_CONFIGS = [
  "/@/boot/grub/grub.cfg",
  "/@/boot/grub2/grub.cfg",
  "/@/grub/grub.cfg",
  "/root/boot/grub2/grub.cfg",
  "/root/boot/grub/grub.cfg",
  "/@rootfs/boot/grub/grub.cfg",
] as const;

/** What the guest's own volumes say about the course. */
export async function guestFindings(view: GuestView, profile: HostProfile, parts: VerdictParts): Promise<Finding[]> {
  const { course, volumes, root, resume, fstab } = parts;
  const found: Finding[] = [];
  const add = (kind: FindingKind, message: string, where: Where = {}): void =>
    void found.push(finding(kind, message, where));

  for (const volume of volumes) {
    if (volume.hidden === undefined) continue;
    const path = await firstOf(volume, PROBED);
    if (path !== undefined) add(kinds.FILE_HIDDEN, volume.hidden, { device: volume.device, path: encodeText(path) });
  }
  await otherWidth(view, profile, course, add);
  for (const attempt of course.attempts) {
    if (attempt.kind !== "search" || !attempt.ok || !attempt.path.startsWith("/")) continue;
    const others: string[] = [];
    for (const { device } of volumes) {
      if (device !== attempt.device && (await view.world.exists(device, attempt.path)) !== undefined)
        others.push(device);
    }
    if (others.length > 0) {
      const message = `(${attempt.device ?? ""}) is taken; (${others.join("), (")}) has it too`;
      add(kinds.SEVERAL_ANSWER, message, { device: attempt.device, path: encodeText(attempt.path) });
    }
  }
  if (course.stop?.kind === kinds.NOTHING_FOUND) {
    for (const volume of volumes) {
      const path = await firstOf(volume, GRUB2_CONFIGS);
      if (path !== undefined) add(kinds.GRUB2_DIRECTORY, `the configuration is ${path}`, { device: volume.device });
      const inside = volume.fs === "btrfs" ? await firstOf(volume, SUBVOLUME_CONFIGS) : undefined;
      if (inside !== undefined) add(kinds.IN_SUBVOLUME, `the configuration is ${inside}`, { device: volume.device });
    }
  }
  const used = new Set([course.config?.device, course.kernel?.device]);
  for (const { device, dirty } of volumes) {
    if (dirty && used.has(device))
      add(kinds.JOURNAL_DIRTY, "its journal holds changes that the loader does not see", { device });
  }
  duplicates(
    volumes,
    ({ uuid }) => uuid,
    (value, names) => add(kinds.DUPLICATE_UUID, `${names} have the UUID ${value}`),
  );
  duplicates(
    volumes,
    ({ label }) => label,
    (value, names) => add(kinds.DUPLICATE_LABEL, `${names} have the label ${value}`),
  );
  if (course.stop === undefined) references(root, resume, fstab, add);
  const saved = await savedChoice(view, course);
  if (saved !== undefined) add(kinds.SAVED_IGNORED, `${saved} holds a choice that this loader does not see`);
  return found;
}

type Add = (kind: FindingKind, message: string, where?: Where) => void;

async function firstOf(volume: GuestVolume, paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if ((await volume.read(path)) !== undefined) return path;
  return undefined;
}

/** A loader of the guest's own, for the width that this host is not. */
async function otherWidth(view: GuestView, profile: HostProfile, { chain, attempts }: Course, add: Add): Promise<void> {
  if (profile.loader !== "grub" || profile.container !== "pv" || chain.length > 0) return;
  const other = profile.arch === "x86_64" ? "i386" : "x86_64";
  if (attempts.some(({ path }) => path.endsWith(`pvboot-${other}.elf`))) return;
  for (const device of await view.world.devices()) {
    for (const path of [`/boot/xen/pvboot-${other}.elf`, `/xen/pvboot-${other}.elf`]) {
      if ((await view.world.exists(device, path)) === undefined) continue;
      add(kinds.PVBOOT_OTHER_ARCH, `it is for ${other}, the host's loader for ${profile.arch}`, {
        device,
        path: encodeText(path),
      });
    }
  }
}

function duplicates(
  volumes: readonly GuestVolume[],
  value: (volume: GuestVolume) => string | undefined,
  report: (value: string, names: string) => void,
): void {
  const seen = new Map<string, string[]>();
  for (const volume of volumes) {
    const key = value(volume);
    if (key !== undefined && key !== "") seen.set(key, [...(seen.get(key) ?? []), volume.device]);
  }
  for (const [key, devices] of seen)
    if (devices.length > 1) report(key, devices.map((device) => `(${device})`).join(" and "));
}

function references(
  root: Reference | undefined,
  resume: Reference | undefined,
  fstab: readonly Reference[],
  add: Add,
): void {
  const lost = ({ device, known }: Reference): boolean => device === undefined && known;
  if (root !== undefined) {
    if (lost(root)) add(kinds.ROOT_MISSING, `root=${root.spec}`);
    else if (/^\/dev\/(xvd|sd|hd|vd|nvme)/.test(root.spec))
      add(kinds.ROOT_BY_NAME, `root=${root.spec}`, { device: root.device });
  }
  if (resume !== undefined && lost(resume)) add(kinds.RESUME_MISSING, `resume=${resume.spec}`);
  for (const reference of fstab) if (lost(reference)) add(kinds.FSTAB_MISSING, `/etc/fstab: ${reference.spec}`);
}

/** The environment block whose saved choice a loader without access to it passes over. */
async function savedChoice(view: GuestView, course: Course): Promise<string | undefined> {
  const { config, grub, chain } = course;
  if (config === undefined || grub === undefined || chain.length > 0) return undefined;
  const path = `${config.path.slice(0, config.path.lastIndexOf("/"))}/grubenv`;
  const bytes = await view.readRange(config.device, path, 0, 1024);
  const holds = bytes !== undefined && /^(saved_entry|next_entry)=./m.test(decodeText(bytes));
  return holds && !grub.attempts.some((attempt) => attempt.path === path) ? `(${config.device})${path}` : undefined;
}
