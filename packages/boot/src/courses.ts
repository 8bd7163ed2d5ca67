import { encodeText, type FindingKind, isImageError } from "@guestprobe/block";
import type { DialectName } from "@guestprobe/grub/script";
import * as kinds from "./findings.js";
import { type GrubOutcome, type GrubSetup, runGrub } from "./grub-run.js";
import type { GuestView } from "./guest.js";
import type { Arch } from "./judge.js";
import { type Kernels, type LoadAnswer, toolstackLoads } from "./kernels.js";
import { GUEST_CONFIGS, type HostProfile } from "./profiles.js";
import { runPvGrub } from "./pv-grub.js";
import { runPygrub } from "./pygrub.js";
import type { Attempt, ChainLink, Verdict } from "./verdict-types.js";

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

/** What the loader of a profile does with a guest. */
export function courseOf(view: GuestView, kernels: Kernels, options: VerdictOptions): Promise<Course> {
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
