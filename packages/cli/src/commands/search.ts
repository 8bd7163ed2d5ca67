import {
  BOOT_PROBE_PATHS,
  GRUB_VERSIONS,
  type GrubVersionId,
  type SearchQuery,
  type SearchResult,
} from "@guestprobe/grub";
import { textPair } from "@guestprobe/vfs";
import type { Context } from "../context.js";
import { EXIT, UsageError } from "../exit.js";
import { grubSearch } from "../guest.js";
import { deviceText, escapeGuestText } from "../output/escape.js";
import { findingJson } from "../output/output.js";
import { table } from "../output/table.js";
import { type UnreadVolume, unreadVolumes } from "../unread.js";
import type { Options, Run } from "../verbs.js";

export const search: Run = async (context, words, options) => {
  const { out } = context;
  const version = GRUB_VERSIONS[options.grub as GrubVersionId];
  const queries = queriesOf(options);
  const guest = await context.open(words, options);
  const session = grubSearch(guest, version);
  const results: SearchResult[] = [];
  for (const query of queries) results.push(await session.search(query));
  const unread = await unreadVolumes(guest);
  for (const { device, error } of results.flatMap((result) => result.unknown)) {
    if (!unread.some((volume) => volume.device === device)) unread.push({ device, reason: error.message });
  }
  if (out.options.json) {
    out.json({
      schema: "guestprobe/search/1",
      grub: version.id,
      search: results.map(resultJson),
      unknown: unread,
      findings: out.log.findings.map(findingJson),
    });
  } else {
    showResults(context, results, unread);
  }
  if (results.some((result) => result.hits.length > 0)) return EXIT.yes;
  return unread.length > 0 ? EXIT.cannotTell : EXIT.no;
};

function queriesOf(options: Options): SearchQuery[] {
  const hints = (options.hint as readonly string[] | undefined)?.map((hint) => {
    // With or without parentheses, as people write them; a trailing comma stays GRUB's "and its partitions".
    return hint.replace(/^\((.*)\)(,?)$/, "$1$2");
  });
  const common = { hints: hints ?? [], stopAtFirst: options.set === true, noFloppy: options.floppy === false };
  const of = (by: SearchQuery["by"], key: string): SearchQuery[] =>
    ((options[key] as readonly string[] | undefined) ?? []).map((name) => {
      if (name === "") throw new UsageError(`--${key}: an empty name`);
      return { by, name, ...common };
    });
  const asked = [...of("file", "file"), ...of("label", "label"), ...of("uuid", "fsUuid")];
  return asked.length > 0 ? asked : BOOT_PROBE_PATHS.map((name) => ({ by: "file", name, ...common }));
}

function resultJson(result: SearchResult): Record<string, unknown> {
  const pathOf = (path: Uint8Array | undefined): Record<string, unknown> =>
    path === undefined ? { path: null } : textPair("path", path);
  return {
    by: result.by,
    ...textPair("name", result.name),
    hits: result.hits.map(({ device, path }) => ({ device, ...pathOf(path) })),
    hidden: result.hidden.map(({ device, path, reason, code }) => ({ device, ...pathOf(path), reason, code })),
  };
}

function showResults({ out }: Context, results: readonly SearchResult[], unread: readonly UnreadVolume[]): void {
  const rows = results.flatMap((result): string[][] => {
    const name = escapeGuestText(result.name);
    if (result.hits.length === 0) return [[name, out.style("dim", "not found")]];
    return result.hits.map(({ device, path }, index) => {
      const file = result.by === "file" && path !== undefined ? escapeGuestText(path) : "";
      return [index === 0 ? name : "", deviceText(device) + file];
    });
  });
  out.lines(table([{ title: "" }, { title: "" }], rows).slice(1));
  const hidden = results.flatMap((result) => result.hidden);
  if (hidden.length > 0) {
    out.line();
    out.line("There, but hidden from GRUB:");
    for (const { device, path, reason, code } of hidden) {
      out.line(
        `  ${deviceText(device)}${path === undefined ? "" : escapeGuestText(path)}: ${escapeGuestText(reason)} [${code}]`,
      );
    }
  }
  for (const { device, reason } of unread)
    out.remark(`cannot tell about ${deviceText(device)}: ${escapeGuestText(reason)}`);
}
