import { isImageError } from "@guestprobe/block";
import type { BootMenu, BootPlan } from "@guestprobe/grub/menu";
import {
  type DialectName,
  type Doubt,
  type LoadCall,
  type Platform,
  runText,
  type World,
} from "@guestprobe/grub/script";
import { type HostImage, parseHostImage } from "./host-image.js";
import type { Arch } from "./judge.js";
import { grubPvhLoads, grubPvLoads, type Kernels, type LoadAnswer } from "./kernels.js";
import type { TarFile } from "./tar.js";
import { Trace } from "./trace.js";
import type { Attempt, ChainLink } from "./verdict-types.js";

/** A GRUB, as far as it decides what is booted. */
export interface GrubSetup {
  readonly platform: Extract<Platform, "xen" | "xen_pvh">;
  readonly arch: Arch;
  readonly dialect: DialectName;
  /** Run before anything else. */
  readonly config: string;
  readonly prefix: string | undefined;
  readonly memdisk: readonly TarFile[];
}

/** How a run of GRUB ended. */
export interface GrubOutcome {
  readonly booted: boolean;
  /** "prompt": GRUB found nothing more to do; "waits": its menu waits for a key; "limit": the script went on for ever. */
  readonly end: "booted" | "prompt" | "waits" | "halted" | "limit";
  readonly plan: BootPlan | undefined;
  readonly menu: BootMenu | undefined;
  readonly attempts: readonly Attempt[];
  readonly chain: readonly ChainLink[];
  readonly doubts: readonly Doubt[];
  /** What loaders said, by "(device)path". */
  readonly answers: ReadonlyMap<string, LoadAnswer>;
  readonly commands: Trace["commands"];
  /** A chain of loaders that does not end. */
  readonly tooDeep: boolean;
}

/** A loader that loads a loader that loads a loader: past this it is a circle. */
const MAX_CHAIN = 4;

export function setupOfImage(image: HostImage, dialect: DialectName): GrubSetup {
  return {
    platform: image.platform,
    arch: image.arch,
    dialect,
    config: image.config ?? "",
    prefix: image.prefix,
    memdisk: image.memdisk,
  };
}

/**
 * Starts a GRUB over a guest, and follows every loader that it starts in turn.
 *
 * @param kernels Kernels to look into; without them every file is taken, and no loader is followed.
 */
export async function runGrub(
  setup: GrubSetup,
  world: World,
  kernels: Kernels | undefined,
  entry: string | undefined,
  depth = 0,
): Promise<GrubOutcome> {
  const answers = new Map<string, LoadAnswer>();
  const judge = async (call: LoadCall): Promise<LoadAnswer> => {
    if (call.role !== "kernel" || kernels === undefined) return { ok: true, message: "", kind: undefined };
    const file = await kernels.get(call.device, call.path);
    const answer = isImageError(file)
      ? { ok: true, message: "", kind: undefined, unknown: file }
      : setup.platform === "xen"
        ? grubPvLoads(file, setup.arch)
        : grubPvhLoads(call.command, file);
    answers.set(`(${call.device})${call.path}`, answer);
    return answer;
  };
  const trace = new Trace(judge);
  const run = await runText("embedded", `${setup.config}\nnormal\n`, {
    world: trace.watch(withMemdisk(world, setup.memdisk)),
    dialect: setup.dialect,
    platform: setup.platform,
    cpu: setup.arch,
    root: /^\(([^)]*)\)/.exec(setup.prefix ?? "")?.[1] ?? "",
    prefix: setup.prefix ?? "",
  });
  trace.finish();
  // The innermost GRUB is the one whose menu a person would pick from.
  const booted = run.menu === undefined ? undefined : await run.boot(entry);
  trace.finish();
  const reason = booted?.reason ?? run.reason;
  const plan = booted?.plan ?? run.plan;
  const common = {
    menu: run.menu,
    attempts: trace.attempts,
    doubts: [...run.doubts, ...(booted?.doubts ?? [])],
    answers,
    commands: trace.commands,
    tooDeep: false,
  };
  if (reason !== "boot" || plan?.kernel === undefined) {
    const end =
      reason === "limit" ? "limit" : reason === "waits-for-key" ? "waits" : reason === "end" ? "prompt" : "halted";
    return { ...common, booted: false, end, plan, chain: [] };
  }
  const inner = kernels === undefined ? undefined : await loaderInside(plan, kernels);
  if (inner === undefined) return { ...common, booted: true, end: "booted", plan, chain: [] };
  const { device = "", path } = plan.kernel;
  const link: ChainLink = { device, path, prefix: inner.prefix };
  if (depth === MAX_CHAIN) return { ...common, booted: false, end: "limit", plan, chain: [link], tooDeep: true };
  const next = await runGrub(setupOfImage(inner, setup.dialect), world, kernels, entry, depth + 1);
  return {
    ...next,
    attempts: [...trace.attempts, ...next.attempts],
    chain: [link, ...next.chain],
    answers: new Map([...answers, ...next.answers]),
  };
}

/** The GRUB that a plan hands over to, if its kernel is one. */
async function loaderInside(plan: BootPlan, kernels: Kernels): Promise<HostImage | undefined> {
  const { device, path } = plan.kernel!;
  const file = device === undefined ? undefined : await kernels.get(device, path);
  if (file === undefined || isImageError(file) || file.kernel.kind !== "elf") return undefined;
  try {
    return parseHostImage(file.bytes);
  } catch (error) {
    if (!isImageError(error)) throw error;
    // An ELF file without GRUB's modules is a kernel; one whose modules are damaged dies without a word.
    return undefined;
  }
}

/** The guest's devices with the loader's own files in front. */
function withMemdisk(world: World, files: readonly TarFile[]): World {
  if (files.length === 0) return world;
  const find = (path: string): TarFile | undefined => {
    const wanted = path
      .split("/")
      .filter((name) => name !== "")
      .join("/");
    return files.find(({ name }) => name === wanted);
  };
  return {
    ...world,
    devices: async () => ["memdisk", ...(await world.devices())],
    probe: async (device) => (device === "memdisk" ? { fs: "tarfs", driver: "memdisk" } : world.probe(device)),
    exists: async (device, path) => {
      if (device !== "memdisk") return world.exists(device, path);
      const file = find(path);
      return file === undefined ? undefined : { size: file.bytes.length };
    },
    read: async (device, path) => (device === "memdisk" ? find(path)?.bytes : world.read(device, path)),
    readDir: async (device, path) => {
      if (device !== "memdisk") return world.readDir(device, path);
      return path === "/" ? files.map(({ name }) => ({ name, type: "file" as const })) : undefined;
    },
  };
}
