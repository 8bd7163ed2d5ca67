import { ImageError } from "@guestprobe/block";
import { legacyMenu, legacyPlan, liloMenu, liloPlan, parseLegacy, parseLilo } from "@guestprobe/grub/legacy";
import { type BootMenu, type BootPlan, menuLines, planLines } from "@guestprobe/grub/menu";
import { runFile, type World } from "@guestprobe/grub/script";
import { parseSyslinux, syslinuxDefault, syslinuxMenu, syslinuxPlan } from "@guestprobe/grub/syslinux";
import { EXIT, UsageError } from "../exit.js";
import { type GuestWorld, guestWorld } from "../grub-world.js";
import { escapeGuestText } from "../output/escape.js";
import { findingJson } from "../output/output.js";
import type { Options, Run } from "../verbs.js";
import { menuJson, planJson } from "./menu-json.js";

/** Where boot loaders keep their menus, in the order in which they are asked for. */
const CONFIGS: readonly string[] = [
  "/boot/grub/grub.cfg",
  "/grub/grub.cfg",
  "/boot/grub2/grub.cfg",
  "/grub2/grub.cfg",
  "/boot/grub/menu.lst",
  "/grub/menu.lst",
  "/boot/grub/grub.conf",
  "/grub/grub.conf",
  "/boot/extlinux/extlinux.conf",
  "/extlinux/extlinux.conf",
  "/boot/extlinux.conf",
  "/extlinux.conf",
  "/boot/syslinux/syslinux.cfg",
  "/syslinux/syslinux.cfg",
  "/syslinux.cfg",
  "/isolinux/isolinux.cfg",
  "/boot/isolinux/isolinux.cfg",
  "/etc/lilo.conf",
];

interface Found {
  readonly menu: BootMenu | undefined;
  readonly plan: BootPlan | undefined;
}

const show = (text: string) => escapeGuestText(text);

export const menu: Run = async (context, words, options) => {
  const { out } = context;
  const guest = await context.open(words, options);
  const around = guestWorld(guest, options);
  const place = await findConfig(around.world, options);
  const { menu: shown, plan } = place === undefined ? NOTHING : await readMenu(around, place, options);
  for (const [device, error] of around.unread) out.remark(`cannot tell about (${device}): ${show(error.message)}`);
  const file = place === undefined ? undefined : `(${place.device})${place.path}`;
  if (out.options.json) {
    out.json({
      schema: "guestprobe/menu/1",
      file: file ?? null,
      menu: shown === undefined ? null : menuJson(shown),
      plan: plan === undefined ? null : planJson(plan),
      findings: out.log.findings.map(findingJson),
    });
  } else {
    if (file === undefined) out.remark("no boot loader's configuration was found");
    else out.line(show(file));
    if (shown !== undefined) out.lines(["", ...menuLines(shown, show)]);
    if (plan !== undefined) out.lines(["", ...planLines(plan, show)]);
  }
  if (shown !== undefined) return EXIT.yes;
  return around.unread.size > 0 ? EXIT.cannotTell : EXIT.no;
};

const NOTHING: Found = { menu: undefined, plan: undefined };

interface ConfigPlace {
  readonly device: string;
  readonly path: string;
}

/** The first of the paths that a volume has, volumes in GRUB's order. */
async function findConfig(world: World, options: Options): Promise<ConfigPlace | undefined> {
  const named = options.file as string | undefined;
  const match = named === undefined ? null : /^\(([^)]*)\)(\/.*)$/s.exec(named);
  if (named !== undefined && match === null && !named.startsWith("/")) {
    throw new UsageError(`--file ${named}: not a path in the guest`);
  }
  const devices = match === null ? await world.devices() : [match[1]!];
  for (const path of named === undefined ? CONFIGS : [match?.[2] ?? named]) {
    for (const device of devices) if ((await world.exists(device, path)) !== undefined) return { device, path };
  }
  return undefined;
}

/** The entry that is asked for, or the default. */
function chosen(shown: BootMenu, options: Options): number {
  const wanted = options.entry as string | undefined;
  if (wanted === undefined) return shown.default.path[0] ?? -1;
  const index = shown.entries.findIndex((entry) => entry.id === wanted || entry.title === wanted);
  return index >= 0 ? index : Number.parseInt(wanted, 10);
}

async function readMenu(around: GuestWorld, { device, path }: ConfigPlace, options: Options): Promise<Found> {
  const { world, dialect, platform } = around;
  const name = `(${device})${path}`;
  const directory = path.slice(0, path.lastIndexOf("/"));
  const isLegacy = /\/(menu\.lst|grub\.conf)$/.test(path);
  const isSyslinux = /(sys|iso|ext|pxe)linux[^/]*$/.test(path);
  if (!isLegacy && !isSyslinux && !path.endsWith("/lilo.conf")) {
    const run = await runFile(name, { world, dialect, platform, root: device, prefix: `(${device})${directory}` });
    if (run.menu === undefined) return { menu: undefined, plan: run.plan };
    return {
      menu: run.menu,
      plan: (await run.boot((options.entry as string | undefined) ?? run.menu.default.path)).plan,
    };
  }
  const bytes = (await readSmall(world, device, path)) ?? new Uint8Array();
  if (isLegacy) {
    const config = parseLegacy(name, bytes);
    const shown = legacyMenu(config, { saved: await savedNumber(world, device, directory) });
    return { menu: shown, plan: legacyPlan(config, chosen(shown, options)) };
  }
  if (path.endsWith("/lilo.conf")) {
    const config = parseLilo(name, bytes);
    const shown = liloMenu(config);
    return { menu: shown, plan: liloPlan(config, chosen(shown, options)) };
  }
  const config = await parseSyslinux(name, bytes, {
    read: (included) => readSmall(world, device, included.startsWith("/") ? included : `${directory}/${included}`),
  });
  const wanted = options.entry as string | undefined;
  const index =
    wanted === undefined
      ? syslinuxDefault(config)
      : config.entries.findIndex(({ label, title }) => label === wanted || title === wanted);
  return { menu: syslinuxMenu(config), plan: syslinuxPlan(config, index) };
}

/** A configuration: a file past any sensible size is none. */
async function readSmall(world: World, device: string, path: string): Promise<Uint8Array | undefined> {
  const found = await world.exists(device, path);
  if (found === undefined) return undefined;
  if (found.size > MAX_CONFIG) throw new ImageError("limit", `${path} has ${found.size} bytes`, { format: "menu" });
  return world.read(device, path);
}

/** Bytes. */
const MAX_CONFIG = 1 << 25;

/** What GRUB legacy keeps in the file `default` beside its menu. */
async function savedNumber(world: World, device: string, directory: string): Promise<number | undefined> {
  const bytes = await readSmall(world, device, `${directory}/default`);
  const line = bytes === undefined ? "" : new TextDecoder("latin1").decode(bytes.subarray(0, 16));
  const match = /^[0-9]+/.exec(line);
  return match === null ? undefined : Number(match[0]);
}
