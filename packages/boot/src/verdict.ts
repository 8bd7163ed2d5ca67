import { encodeText, type Finding, type FindingKind, isImageError } from "@guestprobe/block";
import type { DialectName } from "@guestprobe/grub/script";
import { guestFindings, loaderFindings } from "./checks.js";
import { distributionOf, forDistribution } from "./distribution.js";
import * as kinds from "./findings.js";
import { type GrubOutcome, type GrubSetup, runGrub } from "./grub-run.js";
import type { GuestView } from "./guest.js";
import { recogniseInitrd } from "./initrd.js";
import type { Arch } from "./judge.js";
import { Kernels, type LoadAnswer, toolstackLoads } from "./kernels.js";
import { GUEST_CONFIGS, type HostProfile } from "./profiles.js";
import { runPvGrub } from "./pv-grub.js";
import { runPygrub } from "./pygrub.js";
import { fstabSpecs, kernelOption, resolveReference } from "./references.js";
import type { Answer, Attempt, ChainLink, CheckedInitrd, CheckedKernel, Reference, Verdict } from "./verdict-types.js";

export interface VerdictOptions {
  readonly profile: HostProfile;
  /** A host image to run in place of the profile's own script. */
  readonly image?: GrubSetup | undefined;
  /** The entry of the innermost menu: a number, a title or an id. */
  readonly entry?: string | undefined;
  /** What `extra` of the guest's configuration holds: pv-grub's menu, or words for the kernel's command line. */
  readonly extra?: string | undefined;
  /** Whose GRUB; "debian-2.06" unless given. */
  readonly dialect?: DialectName | undefined;
  /** Kernels read before, to share them between verdicts. */
  readonly kernels?: Kernels | undefined;
}

/** What a loader was found to do, before it is judged. */
export interface Course {
  readonly attempts: readonly Attempt[];
  readonly chain: readonly ChainLink[];
  readonly entry: Verdict["entry"];
  readonly config: Verdict["config"];
  readonly kernel: { readonly device: string; readonly path: string } | undefined;
  readonly initrds: readonly { readonly device: string | undefined; readonly path: string }[];
  readonly cmdline: string | undefined;
  /** Why nothing is started; undefined when the loader starts the kernel. */
  readonly stop: { readonly kind: FindingKind; readonly message: string } | undefined;
  readonly locked: boolean;
  readonly answers: ReadonlyMap<string, LoadAnswer>;
  readonly grub: GrubOutcome | undefined;
}

/** pv-grub's menu where nothing else is said. */
const PV_GRUB_MENU = "(hd0,0)/boot/grub/menu.lst";

/**
 * Says what a host's loader would boot from a guest, step by step, and whether it would come up. Nothing is changed, and
 * nothing of the guest is run.
 */
export async function bootVerdict(view: GuestView, options: VerdictOptions): Promise<Verdict> {
  const kernels = options.kernels ?? new Kernels(view);
  const course = await courseOf(view, kernels, options);
  return judge(view, kernels, options, course);
}

function courseOf(view: GuestView, kernels: Kernels, options: VerdictOptions): Promise<Course> {
  switch (options.profile.loader) {
    case "grub":
      return grubCourse(view, kernels, options);
    case "pv-grub":
      return pvGrubCourse(view, kernels, options);
    case "pygrub":
      return pygrubCourse(view, kernels, options);
    default:
      return directCourse(view, kernels, options);
  }
}

/** The GRUB that a profile stands for. */
export function setupOf(profile: HostProfile, dialect: DialectName = "debian-2.06"): GrubSetup {
  const script = encodeText(profile.script?.value ?? GUEST_CONFIGS);
  return {
    platform: profile.container === "pvh" ? "xen_pvh" : "xen",
    arch: profile.arch,
    dialect,
    config: "normal (memdisk)/grub.cfg",
    prefix: profile.prefix?.value ?? "(memdisk)/boot/grub",
    memdisk: [{ name: "grub.cfg", bytes: script }],
  };
}

async function grubCourse(view: GuestView, kernels: Kernels, options: VerdictOptions): Promise<Course> {
  const setup = options.image ?? setupOf(options.profile, options.dialect);
  const run = await runGrub(setup, view.world, kernels, options.entry);
  const course = courseOfRun(run);
  if (setup.platform !== "xen_pvh" || course.cmdline === undefined || run.plan?.command === "multiboot") return course;
  // The loader for i386 puts the name of the kernel in front, as it was written.
  return { ...course, cmdline: `BOOT_IMAGE=${course.kernel?.path ?? ""} ${course.cmdline}`.trimEnd() };
}

function courseOfRun(run: GrubOutcome): Course {
  const { plan } = run;
  const kernel = plan?.kernel;
  const config = run.attempts.findLast(({ kind, ok, device }) => kind === "config" && ok && device !== "memdisk");
  return {
    attempts: run.attempts.filter(({ device }) => device !== "memdisk"),
    chain: run.chain,
    config: config?.device === undefined ? undefined : { device: config.device, path: config.path },
    entry:
      plan === undefined || plan.path.length === 0
        ? undefined
        : { title: plan.title, path: plan.path, line: kernel?.at.line },
    kernel: kernel?.device === undefined ? undefined : { device: kernel.device, path: kernel.path },
    initrds: plan?.initrds ?? [],
    cmdline: kernel === undefined ? undefined : plan?.cmdline,
    stop: run.booted ? undefined : stopOf(run),
    locked: plan?.locked ?? false,
    answers: run.answers,
    grub: run,
  };
}

function stopOf(run: GrubOutcome): NonNullable<Course["stop"]> {
  if (run.end === "waits") {
    const failed = run.menu?.timeout !== undefined;
    return {
      kind: kinds.MENU_WAITS,
      message: failed ? "no entry of the menu could be started" : "the menu has no timeout and waits for a key",
    };
  }
  if (run.end === "limit") {
    const message = run.tooDeep ? "loaders that load each other" : "the configuration does not come to an end";
    return { kind: kinds.CONFIG_PROBLEM, message };
  }
  if (run.end === "halted") return { kind: kinds.CONFIG_PROBLEM, message: "the configuration ends the loader" };
  return { kind: kinds.NOTHING_FOUND, message: "the loader comes to its prompt with nothing left to try" };
}

const NO_ANSWERS: ReadonlyMap<string, LoadAnswer> = new Map();

async function pvGrubCourse(view: GuestView, kernels: Kernels, options: VerdictOptions): Promise<Course> {
  const { plan, attempts, fault } = await runPvGrub(view, options.extra ?? PV_GRUB_MENU, options.entry);
  const stop = plan?.waits
    ? { kind: kinds.MENU_WAITS, message: "the menu has no timeout and waits for a key" }
    : plan === undefined
      ? { kind: kinds.NOTHING_FOUND, message: fault ?? "nothing to boot" }
      : undefined;
  const base: Course = {
    attempts,
    chain: [],
    config: plan === undefined ? undefined : { device: plan.device, path: plan.config },
    entry: plan === undefined ? undefined : { title: plan.title, path: [plan.index], line: plan.line },
    kernel: plan?.kernel,
    initrds: plan?.initrds ?? [],
    cmdline: plan?.args,
    stop,
    locked: plan?.locked ?? false,
    answers: NO_ANSWERS,
    grub: undefined,
  };
  return withToolstack(kernels, base, "pv", options.profile.arch);
}

async function pygrubCourse(view: GuestView, kernels: Kernels, options: VerdictOptions): Promise<Course> {
  const { plan, attempts } = await runPygrub(view, options.entry);
  const base: Course = {
    attempts,
    chain: [],
    config: plan === undefined ? undefined : { device: plan.device, path: plan.config },
    entry: plan === undefined ? undefined : { title: plan.title, path: [plan.index], line: plan.line },
    kernel: plan === undefined ? undefined : { device: plan.device, path: plan.kernel },
    initrds: plan?.initrd === undefined ? [] : [{ device: plan.device, path: plan.initrd }],
    cmdline: plan === undefined ? undefined : [plan.args, options.extra ?? ""].filter((part) => part !== "").join(" "),
    stop:
      plan === undefined
        ? { kind: kinds.NOTHING_FOUND, message: "unable to find a partition containing a kernel" }
        : undefined,
    locked: false,
    answers: NO_ANSWERS,
    grub: undefined,
  };
  return withToolstack(kernels, base, options.profile.container, undefined);
}

/** Direct boot: what the guest's own configuration would start, handed to the toolstack. */
async function directCourse(view: GuestView, kernels: Kernels, options: VerdictOptions): Promise<Course> {
  // Files are taken out with no loader in between, so nothing is refused on the way.
  const run = await runGrub(setupOf(options.profile, options.dialect), view.world, undefined, options.entry);
  return withToolstack(kernels, courseOfRun(run), options.profile.container, undefined);
}

/** The domain builder's say on the kernel of a course. */
async function withToolstack(
  kernels: Kernels,
  course: Course,
  container: "pv" | "pvh",
  arch: Arch | undefined,
): Promise<Course> {
  if (course.kernel === undefined || course.stop !== undefined) return course;
  const { device, path } = course.kernel;
  const file = await kernels.get(device, path);
  let answer: LoadAnswer;
  if (isImageError(file)) answer = { ok: true, message: "", kind: undefined, unknown: file };
  else answer = toolstackLoads(file, container);
  if (
    answer.ok &&
    arch !== undefined &&
    !isImageError(file) &&
    file.kernel.arch !== undefined &&
    file.kernel.arch !== arch
  ) {
    answer = {
      ok: false,
      message: `a kernel for ${file.kernel.arch}, the loader is for ${arch}`,
      kind: kinds.KERNEL_ARCH,
    };
  }
  const attempt: Attempt = {
    kind: "load",
    rule: "kernel",
    file: course.config?.path ?? "",
    line: course.entry?.line ?? 0,
    device,
    path,
    ok: answer.ok,
    reason: answer.ok ? undefined : answer.message,
  };
  const stop = answer.ok ? undefined : { kind: answer.kind ?? kinds.KERNEL_REFUSED, message: answer.message };
  return {
    ...course,
    attempts: [...course.attempts, attempt],
    answers: new Map([[`(${device})${path}`, answer]]),
    stop,
  };
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
      return say("unknown", `nothing was found, and (${unread.device}) could not be read`);
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
