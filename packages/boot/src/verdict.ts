import { type Finding, isImageError } from "@guestprobe/block";
import { guestFindings, loaderFindings } from "./checks.js";
import { type Course, courseOf, type VerdictOptions } from "./courses.js";
import { distributionOf, forDistribution } from "./distribution.js";
import * as kinds from "./findings.js";
import type { GuestView } from "./guest.js";
import { recogniseInitrd } from "./initrd.js";
import { Kernels } from "./kernels.js";
import type { HostProfile } from "./profiles.js";
import { fstabSpecs, kernelOption, resolveReference } from "./references.js";
import type { Answer, CheckedInitrd, CheckedKernel, Reference, Verdict } from "./verdict-types.js";

/**
 * Says what a host's loader would boot from a guest, step by step, and whether it would come up. Nothing is changed, and
 * nothing of the guest is run.
 */
export async function bootVerdict(view: GuestView, options: VerdictOptions): Promise<Verdict> {
  const kernels = options.kernels ?? new Kernels(view);
  const course = await courseOf(view, kernels, options);
  return judge(view, kernels, options, course);
}

/** Puts a course next to the guest's volumes: does what it starts come up? */
async function judge(view: GuestView, kernels: Kernels, options: VerdictOptions, course: Course): Promise<Verdict> {
  const { profile } = options;
  const volumes = await view.volumes();
  const kernel = await checkKernel(kernels, course);
  const initrds = await checkInitrds(view, course);
  const cmdline = course.cmdline;
  const option = (name: string): Reference | undefined => {
    const value = kernelOption(cmdline ?? "", name);
    return value === undefined ? undefined : resolveReference(value, volumes);
  };
  const root = option("root");
  const resume = option("resume");
  const rootVolume = volumes.find(({ device }) => device === root?.device);
  const fstab = fstabSpecs((await rootVolume?.read("/etc/fstab")) ?? new Uint8Array()).map(({ spec }) =>
    resolveReference(spec, volumes),
  );
  const parts = { course, volumes, kernel, initrds, root, resume, fstab };
  const findings = [...loaderFindings(profile, parts), ...(await guestFindings(view, profile, parts))];
  const { answer, summary } = answerOf(profile, parts, findings);
  const release = (await rootVolume?.read("/etc/os-release")) ?? (await rootVolume?.read("/usr/lib/os-release"));
  const distribution = release === undefined ? undefined : distributionOf(release);
  return {
    profile: profile.id,
    mode: profile.mode,
    loader: profile.loader,
    container: options.image === undefined ? profile.container : options.image.platform === "xen_pvh" ? "pvh" : "pv",
    answer,
    summary,
    attempts: course.attempts,
    chain: course.chain,
    config: course.config,
    entry: course.entry,
    kernel,
    initrds,
    cmdline,
    root,
    resume,
    fstab,
    findings: findings.map((each) => forDistribution(each, distribution)),
    unread: volumes.flatMap(({ device, error }) => (error === undefined ? [] : [{ device, error }])),
  };
}

/** Everything that a verdict is made of. */
export interface VerdictParts {
  readonly course: Course;
  readonly volumes: Awaited<ReturnType<GuestView["volumes"]>>;
  readonly kernel: CheckedKernel | undefined;
  readonly initrds: readonly CheckedInitrd[];
  readonly root: Reference | undefined;
  readonly resume: Reference | undefined;
  readonly fstab: readonly Reference[];
}

/** The kernel that is started or, where none is, the last one that was refused. */
async function checkKernel(kernels: Kernels, course: Course): Promise<CheckedKernel | undefined> {
  const last = course.attempts.findLast(
    ({ kind, ok, device, path, rule }) =>
      kind === "load" &&
      !ok &&
      device !== undefined &&
      !path.endsWith(".elf") &&
      /^(linux|kernel|multiboot)/.test(rule),
  );
  const place = course.kernel ?? (last?.device === undefined ? undefined : { device: last.device, path: last.path });
  if (place === undefined) return undefined;
  const file = await kernels.get(place.device, place.path);
  if (isImageError(file) || (course.kernel === undefined && file.size === 0)) return undefined;
  return { device: place.device, path: place.path, size: file.size, kernel: file.kernel };
}

async function checkInitrds(view: GuestView, course: Course): Promise<CheckedInitrd[]> {
  const checked: CheckedInitrd[] = [];
  for (const { device, path } of course.initrds) {
    const found = device === undefined ? undefined : await view.world.exists(device, path);
    if (device === undefined || found === undefined) {
      checked.push({ device, path, size: undefined, initrd: undefined });
      continue;
    }
    const read = async (offset: number, length: number): Promise<Uint8Array> =>
      (await view.readRange(device, path, offset, length)) ?? new Uint8Array();
    checked.push({ device, path, size: found.size, initrd: await recogniseInitrd(found.size, read) });
  }
  return checked;
}

function answerOf(
  profile: HostProfile,
  { course, volumes, kernel, initrds, root }: VerdictParts,
  findings: readonly Finding[],
): { readonly answer: Answer; readonly summary: string } {
  const say = (answer: Answer, summary: string) => ({ answer, summary });
  const shown = course.kernel === undefined ? "nothing" : `(${course.kernel.device})${course.kernel.path}`;
  if (course.stop !== undefined) {
    const unread = volumes.find(({ error }) => error !== undefined);
    if (unread !== undefined && course.stop.kind === kinds.NOTHING_FOUND) {
      const { device, error } = unread;
      return say("unknown", `nothing was found, and (${device}) could not be read: ${error!.reason}`);
    }
    const refusal = course.attempts.findLast(({ kind, ok, device }) => kind === "load" && !ok && device !== undefined);
    const why = refusal === undefined ? "" : `: ${refusal.path}: ${refusal.reason}`;
    return say("no", `${course.stop.message}${course.stop.message === refusal?.reason ? `: ${refusal.path}` : why}`);
  }
  if (course.locked) return say("no", "the entry asks for a password");
  const unknown = [...course.answers.values()].find((each) => each.unknown !== undefined)?.unknown;
  if (unknown !== undefined) return say("unknown", `${shown} could not be looked into: ${unknown.reason}`);
  if (root !== undefined && root.device === undefined && root.known) {
    return say("no", `${shown} is started, and its root ${root.spec} is on none of the disks`);
  }
  if (findings.some(({ code }) => code === kinds.INITRD_MISSING.code)) {
    return say("unknown", `${shown} is started without its ramdisk`);
  }
  if (profile.container === "pvh" && kernel?.kernel.pvh === false) {
    return say("unknown", `${shown} is started, and was not built to run under PVH`);
  }
  if (root !== undefined && root.device === undefined) {
    return say("unknown", `${shown} is started; whether its root ${root.spec} is there cannot be told`);
  }
  return say(
    "yes",
    `${shown} is started${initrds.length === 0 ? "" : `, with ${initrds.length} ramdisk${initrds.length === 1 ? "" : "s"}`}`,
  );
}
