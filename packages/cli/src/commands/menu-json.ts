import type { BootMenu, BootPlan, MenuEntry, PlanFile } from "@guestprobe/grub/menu";
import { encodeText, type Position } from "@guestprobe/grub/script";
import { textPair } from "@guestprobe/vfs";

/** Text from the guest: a string, and its bytes beside it where they are no UTF-8. */
const text = (key: string, value: string) => textPair(key, encodeText(value));

function placeJson(at: Position | undefined): Record<string, unknown> | null {
  return at === undefined ? null : { ...text("file", at.file), line: at.line, column: at.column, byte: at.byte };
}

function entryJson(entry: MenuEntry): Record<string, unknown> {
  return {
    kind: entry.kind,
    ...text("title", entry.title),
    ...text("id", entry.id),
    users: entry.users ?? null,
    hotkey: entry.hotkey ?? null,
    at: placeJson(entry.at),
    entries: entry.entries?.map(entryJson) ?? null,
  };
}

export function menuJson(menu: BootMenu): Record<string, unknown> {
  return {
    language: menu.language,
    entries: menu.entries.map(entryJson),
    default: { path: menu.default.path, why: menu.default.why, at: placeJson(menu.default.at) },
    fallback: menu.fallback,
    timeout: menu.timeout ?? null,
    style: menu.style,
    superusers: menu.superusers,
  };
}

function fileJson(file: PlanFile): Record<string, unknown> {
  return {
    device: file.device ?? null,
    ...text("path", file.path),
    ...text("args", file.args),
    at: placeJson(file.at),
  };
}

export function planJson(plan: BootPlan): Record<string, unknown> {
  const doubts = (list: BootPlan["doubts"]) =>
    list.map(({ what, at }) => ({ ...text("what", what), at: placeJson(at) }));
  return {
    path: plan.path,
    ...text("title", plan.title),
    command: plan.command ?? null,
    kernel: plan.kernel === undefined ? null : fileJson(plan.kernel),
    ...(plan.cmdline === undefined ? { cmdline: null } : text("cmdline", plan.cmdline)),
    initrds: plan.initrds.map(fileJson),
    modules: plan.modules.map(fileJson),
    root: plan.root === undefined ? null : { ...text("device", plan.root.device), at: placeJson(plan.root.at) },
    locked: plan.locked,
    problems: doubts(plan.problems),
    doubts: doubts(plan.doubts),
  };
}
