import { formatDeviceName, parseLegacyName } from "@guestprobe/grub";
import { legacyMenu, legacyPlan, parseLegacy } from "@guestprobe/grub/legacy";
import type { GuestView } from "./guest.js";
import type { Attempt } from "./verdict-types.js";

/** What pv-grub would start. Devices are GRUB 2's names. */
export interface PvGrubPlan {
  readonly device: string;
  readonly config: string;
  readonly title: string;
  readonly index: number;
  readonly line: number;
  readonly kernel: { readonly device: string; readonly path: string };
  readonly initrds: readonly { readonly device: string; readonly path: string }[];
  readonly args: string;
  /** The menu has no timeout. */
  readonly waits: boolean;
  readonly locked: boolean;
}

export interface PvGrubOutcome {
  readonly plan: PvGrubPlan | undefined;
  readonly attempts: readonly Attempt[];
  readonly fault: string | undefined;
}

/** `(hd0,0)/path` in GRUB 2's terms, where a bare number takes any partition map. */
function splitLegacy(text: string, root: string | undefined): { device: string; path: string } | undefined {
  const match = /^\(([^)]*)\)(.*)$/s.exec(text);
  const path = match?.[2] ?? text;
  const parsed = match === null ? undefined : parseLegacyName(match[1]!);
  const device = match === null ? root : parsed === undefined ? undefined : formatDeviceName(parsed);
  return device === undefined ? undefined : { device, path };
}

/**
 * What pv-grub does with a guest: it reads the menu.lst that its first argument names, and starts its default entry.
 * Xen wiki, PvGrub; GRUB legacy's own rules for the menu.
 *
 * @param extra "(hd0,0)/boot/grub/menu.lst", as `extra` of the guest's configuration holds it.
 */
export async function runPvGrub(view: GuestView, extra: string, entry: string | undefined): Promise<PvGrubOutcome> {
  const [word = ""] = extra.trim().split(/\s+/);
  const place = splitLegacy(word, undefined);
  const step = (device: string | undefined, path: string, ok: boolean, reason?: string): Attempt => ({
    kind: "config",
    rule: `configfile ${word}`,
    file: "extra",
    line: 0,
    device,
    path,
    ok,
    reason,
  });
  if (place === undefined) {
    const fault = `extra="${extra}" does not begin with a device and a path`;
    return { plan: undefined, attempts: [step(undefined, word, false, fault)], fault };
  }
  const { device, path } = place;
  const found = await view.world.exists(device, path);
  const bytes = found === undefined || found.size > MAX_MENU ? undefined : await view.world.read(device, path);
  if (bytes === undefined) {
    const fault = found === undefined ? "not found" : `a menu of ${found.size} bytes`;
    return { plan: undefined, attempts: [step(device, path, false, fault)], fault };
  }
  const attempts = [step(device, path, true)];
  const config = parseLegacy(path, bytes);
  const menu = legacyMenu(config);
  const wanted = entry === undefined ? undefined : /^[0-9]+$/.test(entry) ? Number(entry) : undefined;
  const index = wanted ?? (entry === undefined ? -1 : config.entries.findIndex(({ title }) => title === entry));
  const chosen = index >= 0 ? index : (menu.default.path[0] ?? 0);
  const plan = legacyPlan(config, chosen);
  if (plan?.kernel === undefined) return { plan: undefined, attempts, fault: "no entry with a kernel" };
  const root = plan.root === undefined ? device : splitLegacy(`(${plan.root.device})`, undefined)?.device;
  const file = (each: { readonly device: string | undefined; readonly path: string }) =>
    splitLegacy(each.device === undefined ? each.path : `(${each.device})${each.path}`, root);
  const kernel = file(plan.kernel);
  if (kernel === undefined) return { plan: undefined, attempts, fault: `no device for ${plan.kernel.path}` };
  return {
    plan: {
      ...place,
      config: path,
      title: plan.title,
      index: chosen,
      line: plan.kernel.at.line,
      kernel,
      initrds: plan.initrds.map(file).filter((each) => each !== undefined),
      args: plan.cmdline ?? "",
      waits: menu.timeout === undefined,
      locked: plan.locked && menu.superusers.length > 0,
    },
    attempts,
    fault: undefined,
  };
}

/** Bytes; pv-grub itself keeps the menu in 64 KiB. */
const MAX_MENU = 1 << 20;
