import { menuLines, planLines } from "@guestprobe/grub/menu";
import type { World } from "@guestprobe/grub/script";
import { type ConfigPlace, openMenu } from "../boot-menu.js";
import { EXIT, UsageError } from "../exit.js";
import { guestWorld } from "../grub-world.js";
import { deviceText, escapeGuestText } from "../output/escape.js";
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

const show = (text: string) => escapeGuestText(text);

export const menu: Run = async (context, words, options) => {
  const { out } = context;
  const interactive = options.interactive === true;
  if (interactive && out.options.json) throw new UsageError("--interactive and --json do not go together");
  if (interactive && !(process.stdin.isTTY && out.isTerminal)) throw new UsageError("--interactive needs a terminal");
  const guest = await context.open(words, options);
  const around = guestWorld(guest, options);
  const place = await findConfig(around.world, options);
  const opened = place === undefined ? undefined : await openMenu(around, place);
  const shown = opened?.menu;
  const picks = interactive && shown !== undefined;
  const plan = picks ? undefined : await opened?.plan(options.entry as string | undefined);
  for (const [device, error] of around.unread)
    out.remark(`cannot tell about ${deviceText(device)}: ${show(error.message)}`);
  const file = place === undefined ? undefined : `(${place.device})${place.path}`;
  if (picks) {
    const { pickFromMenu } = await import("../menu-picker.js");
    await pickFromMenu(show(file!), { ...opened!, menu: shown });
    return EXIT.yes;
  }
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
